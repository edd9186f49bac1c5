#include "ports/linux/bpf/bpf_events.h"

#include <cerrno>

#include "ports/linux/monotonic_clock.h"

namespace trapline::linux_port {
namespace {

// A process that starts threads faster than they can be looked at is not chased for ever.
constexpr Nanoseconds kChaseAtMost{2'000'000'000};
// A slow machine needs as many looks as a fast one.
constexpr int kLooksAtLeast = 16;

std::string describe_unwatched(std::size_t count) {
  return "threads start faster than they can be looked at: " + std::to_string(count) +
         " of those that started while the watch was being set up may be unwatched";
}

}  // namespace

Result<void> BpfEvents::watch_thread(ThreadId tid) {
  const auto opened = open_missing(tid, 0);
  if (!opened) return std::unexpected(explain_(tid, opened.error()));
  if (!*opened) return std::unexpected(explain_(tid, SlotOpenError{ESRCH, 0}));
  return {};
}

Result<BpfEvents::Watched> BpfEvents::watch_all() {
  const Nanoseconds begin = monotonic_now();
  Watched result;
  for (int looks = 1;; ++looks) {
    const auto threads = programs_.list_threads();
    if (!threads) return std::unexpected(threads.error());
    result.threads = threads->size();
    const auto unwatched = watch_missing(*threads);
    if (!unwatched) return std::unexpected(unwatched.error());
    if (*unwatched == 0) return result;
    result.was_incomplete = true;
    if (looks >= kLooksAtLeast && monotonic_now().value - begin.value > kChaseAtMost.value) {
      result.notes.push_back(describe_unwatched(*unwatched));
      return result;
    }
  }
}

Result<std::size_t> BpfEvents::watch_missing(std::span<const trapline_thread_record> threads) {
  // First, since what is closed gives its debug registers back.
  std::size_t found = close_inherited_too_early(threads);
  for (const trapline_thread_record& thread : threads) {
    if (!is_incomplete(thread.watched_slots)) continue;
    ++found;
    const ThreadId tid{static_cast<std::int32_t>(thread.tid)};
    const auto opened = open_missing(tid, thread.watched_slots);
    if (!opened) return std::unexpected(explain_(tid, opened.error()));
  }
  return found;
}

std::expected<bool, SlotOpenError> BpfEvents::open_missing(ThreadId tid,
                                                           std::uint32_t watched_slots) {
  for (std::size_t slot = 0; slot < attributes_.size(); ++slot) {
    if ((watched_slots >> slot & 1U) != 0) continue;
    const auto opened = open_one(tid, slot);
    if (opened) continue;
    if (opened.error() == ESRCH) return false;
    return std::unexpected(SlotOpenError{opened.error(), slot});
  }
  return true;
}

std::expected<void, int> BpfEvents::open_one(ThreadId tid, std::size_t slot) {
  auto event = PerfEvent::open(attributes_[slot], tid, std::nullopt);
  if (!event) return std::unexpected(event.error());
  if (auto set = event->set_program(programs_.hit_program()); !set) return set;
  if (auto enabled = event->enable(); !enabled) return enabled;
  events_.push_back({tid, *std::move(event)});
  return {};
}

std::size_t BpfEvents::close_inherited_too_early(std::span<const trapline_thread_record> threads) {
  std::size_t found = 0;
  for (const trapline_thread_record& thread : threads) {
    if (thread.without_program_from == 0) continue;
    close_events_of(ThreadId{static_cast<std::int32_t>(thread.without_program_from)});
    ++found;
  }
  return found;
}

void BpfEvents::close_events_of(ThreadId tid) {
  std::erase_if(events_, [&](const Event& event) {
    if (event.tid != tid) return false;
    event.event.disable();
    closed_.add(event.event.count());
    return true;
  });
}

void BpfEvents::disable() {
  for (const Event& event : events_) event.event.disable();
}

PerfHitTotal BpfEvents::total() const {
  PerfHitTotal total = closed_;
  for (const Event& event : events_) total.add(event.event.count());
  return total;
}

}  // namespace trapline::linux_port
