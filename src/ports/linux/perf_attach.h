// Setting the events of a watch in every thread of a running process, without missing one that
// starts meanwhile.
//
// The list of threads is read again until it shows nobody new (AttachPace). A thread that is new
// may have inherited from its creator or not; it gets events of its own unless the creator's record
// of it (fork, in the ring) proves that it inherited, and PerfTwinFilter removes what turns out
// double.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/failure.h"
#include "ports/linux/collector.h"
#include "ports/linux/perf_event_set.h"
#include "ports/linux/perf_ring_set.h"
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

// How often the list of threads is read. A thread that was being cloned when its creator's events
// were set may have inherited none, and is not on the list yet: so that is read on a moment after
// it first showed nobody without events. Once: where threads keep starting, those that turn up in
// that moment have nearly all inherited, and waiting for more of them would not end. Pure.
class AttachPace {
 public:
  // A clone(2) takes microseconds, unless it is preempted, which is likely only where many are
  // made. No longer: nobody takes hits out of the rings meanwhile, and the default ones fill in 30
  // ms at full speed.
  static constexpr Nanoseconds kSettlesWhereNobodyStarts{5'000'000};
  static constexpr Nanoseconds kSettlesWhereSomebodyStarts{20'000'000};

  // After each list, with the number of threads on it that need events: how long to wait before the
  // next, if there are to be more.
  [[nodiscard]] std::optional<Nanoseconds> after_list(std::size_t unwatched);

 private:
  bool is_first_ = true;  // everybody is new
  bool has_waited_ = false;
  Nanoseconds settle_ = kSettlesWhereNobodyStarts;
};

struct PerfAttachReport {
  std::size_t threads = 0;
  std::vector<std::string> notes;
};

// `explain` makes the sentence for an event that was refused. After an error the caller drops the
// events.
using ExplainOpenError = std::function<Failure(ThreadId, const SlotOpenError&)>;
[[nodiscard]] Result<PerfAttachReport> attach_threads(const TargetScope& scope,
                                                      PerfEventSet& events, PerfRingSet& rings,
                                                      PerfTwinFilter& filter,
                                                      const ExplainOpenError& explain);

}  // namespace trapline::linux_port
