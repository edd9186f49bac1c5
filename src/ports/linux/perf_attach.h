// Setting the events of a watch in every thread of a running process, without missing one that
// starts meanwhile.
//
// The list of threads is read again until it shows nobody new. A thread that is new may have
// inherited from its creator or not; it gets events of its own unless the creator's record of it
// (fork, in the ring) proves that it inherited, and PerfTwinFilter removes what turns out double.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/failure.h"
#include "ports/linux/collector.h"
#include "ports/linux/perf_records.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

// Which new threads need no events of their own. Pure.
class PerfAncestry {
 public:
  // A thread's own events were all in place at `when`. What it was creating at that moment may have
  // inherited some of them or none; what it creates after a while has inherited all.
  void watched_since(ThreadId tid, Nanoseconds when);
  // `parent` was seen to create `tid` at `when`.
  void created(ThreadId tid, ThreadId parent, Nanoseconds when);

  [[nodiscard]] bool has_inherited(ThreadId tid) const;

 private:
  struct Birth {
    ThreadId parent;
    Nanoseconds when;
  };
  std::unordered_map<std::int32_t, Birth> births_;
  std::unordered_map<std::int32_t, Nanoseconds> settled_;  // from when on its children are safe
};

struct PerfAttachReport {
  std::size_t threads = 0;
  std::vector<std::string> notes;
};

// The events of a watch, as attaching sees them.
class ThreadEvents {
 public:
  struct OpenError {
    int error = 0;
    std::size_t slot = 0;
  };
  enum class Opened : std::uint8_t {
    all,
    thread_ended,     // before or in between
    doubles_refused,  // late threads only: what is watched already had no room a second time
  };

  ThreadEvents() = default;
  ThreadEvents(const ThreadEvents&) = delete;
  ThreadEvents& operator=(const ThreadEvents&) = delete;
  virtual ~ThreadEvents() = default;

  // Opens and enables all events of a thread. A thread is late if a thread that was watched already
  // may have created it.
  virtual std::expected<Opened, OpenError> add(ThreadId tid, bool late) = 0;
  // Calls visit(record) for every thread that was seen to begin since the last call.
  virtual void visit_births(const std::function<void(const TaskRecord&)>& visit) = 0;
};

// Opens the events of a thread by open_one(slot, place), one for each slot in each of `places`
// places (CPUs). Its error is an errno.
template <typename OpenOne>
std::expected<ThreadEvents::Opened, ThreadEvents::OpenError> open_thread_events(std::size_t slots,
                                                                                std::size_t places,
                                                                                bool late,
                                                                                OpenOne open_one) {
  const std::size_t count = places * slots;
  auto outcome = ThreadEvents::Opened::all;
  for (std::size_t i = 0; i < count; ++i) {
    // In each place a late thread has inherited the first p of the n slots, for some p. Others hold
    // o registers in every thread, and o + n registers there are, or the first threads would have
    // been refused. So filled from the other end it has room for at least the n - p that it lacks,
    // and what is refused after them is a double.
    const std::size_t index = late ? count - 1 - i : i;
    const std::size_t slot = index % slots;
    const std::expected<void, int> opened = open_one(slot, index / slots);
    if (opened) continue;
    if (opened.error() == ESRCH) return ThreadEvents::Opened::thread_ended;
    if (!late || opened.error() != ENOSPC)
      return std::unexpected(ThreadEvents::OpenError{opened.error(), slot});
    outcome = ThreadEvents::Opened::doubles_refused;
  }
  return outcome;
}

// `explain` makes the sentence for an event that was refused. After an error the caller drops the
// events.
using ExplainOpenError = std::function<Failure(ThreadId, const ThreadEvents::OpenError&)>;
[[nodiscard]] Result<PerfAttachReport> attach_threads(const TargetScope& scope,
                                                      ThreadEvents& events,
                                                      const ExplainOpenError& explain);

}  // namespace trapline::linux_port
