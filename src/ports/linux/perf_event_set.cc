#include "ports/linux/perf_event_set.h"

#include <algorithm>
#include <cerrno>
#include <tuple>
#include <utility>

namespace trapline::linux_port {

std::expected<void, int> PerfEventSet::open_one(ThreadId tid, std::size_t cpu, std::size_t slot,
                                                bool late, PerfTwinFilter& filter) {
  auto event = PerfEvent::open(attributes_[slot], tid, rings_.cpus()[cpu]);
  if (!event) return std::unexpected(event.error());
  if (auto redirected = event->redirect_to(rings_.owner(cpu)); !redirected) return redirected;
  if (auto enabled = event->enable(); !enabled) return enabled;
  filter.add(event->id(), static_cast<std::uint32_t>(slot * rings_.cpus().size() + cpu), late);
  events_.push_back({.event = *std::move(event), .slot = slot});
  return {};
}

std::expected<PerfEventSet::Opened, SlotOpenError> PerfEventSet::add_thread(
    ThreadId tid, bool late, PerfTwinFilter& filter) {
  const std::size_t slots = attributes_.size();
  const std::size_t count = rings_.cpus().size() * slots;
  Opened outcome = Opened::all;
  for (std::size_t i = 0; i < count; ++i) {
    // On each CPU a late thread has inherited the first p of the n slots, for some p. Others hold o
    // registers in every thread, and o + n registers there are, or the first threads would have
    // been refused. So filled from the other end it has room for at least the n - p that it lacks,
    // and what is refused after them is a double.
    const std::size_t index = late ? count - 1 - i : i;
    const std::size_t slot = index % slots;
    const auto opened = open_one(tid, index / slots, slot, late, filter);
    if (opened) continue;
    if (opened.error() == ESRCH) return Opened::thread_ended;
    if (!late || opened.error() != ENOSPC)
      return std::unexpected(SlotOpenError{opened.error(), slot});
    outcome = Opened::doubles_refused;
  }
  return outcome;
}

void PerfEventSet::close(std::uint64_t id) {
  std::erase_if(events_, [id](const Entry& entry) { return entry.event.id() == id; });
}

void PerfEventSet::renew(std::uint64_t id) {
  const auto found =
      std::ranges::find(events_, id, [](const Entry& entry) { return entry.event.id(); });
  // It fails for a thread that has ended.
  if (found != events_.end()) std::ignore = found->event.renew(attributes_[found->slot]);
}

void PerfEventSet::disable() {
  std::for_each(events_.rbegin(), events_.rend(),
                [](const Entry& entry) { entry.event.disable(); });
}

bool PerfEventSet::is_hung_up() const {
  return std::all_of(events_.begin(), events_.end(),
                     [](const Entry& entry) { return entry.event.is_hung_up(); });
}

}  // namespace trapline::linux_port
