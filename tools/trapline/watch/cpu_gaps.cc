#include "tools/trapline/watch/cpu_gaps.h"

#include <algorithm>

namespace trapline::command {
namespace {

Nanoseconds elapsed(Nanoseconds from, Nanoseconds to) {
  return Nanoseconds{to.value - std::min(from, to).value};
}

}  // namespace

bool CpuGaps::add(const linux_port::CpuEvent& event) {
  using Kind = linux_port::CpuEvent::Kind;
  const auto open = unwatched_since_.find(event.cpu);
  const bool was_open = open != unwatched_since_.end();
  const bool is_online = event.kind == Kind::online;
  // A CPU that stayed online and is watched again, or no longer, is no change.
  if (event.cpu_was_offline) ++changes_;
  if (is_online && !event.watched) {
    if (!was_open) unwatched_since_.emplace(event.cpu, elapsed(event.gap, event.time));
    return true;
  }
  const Nanoseconds told = is_online ? event.gap : Nanoseconds{};
  const Nanoseconds gap = was_open ? std::max(told, elapsed(open->second, event.time)) : told;
  if (was_open) unwatched_since_.erase(open);
  closed_.value += gap.value;
  return was_open || gap.value > 0;
}

Nanoseconds CpuGaps::total(Nanoseconds now) const {
  Nanoseconds total = closed_;
  for (const auto& [cpu, since] : unwatched_since_) total.value += elapsed(since, now).value;
  return total;
}

}  // namespace trapline::command
