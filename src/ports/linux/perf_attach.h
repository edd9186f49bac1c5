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
