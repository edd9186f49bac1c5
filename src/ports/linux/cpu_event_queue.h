// What is still to be told of CPUs that came, went or could not be watched.
//
// Filled by hotplug callbacks, emptied by the collector's thread. Why a CPU is not watched is put
// into words only there, where nobody waits: that may look at all processes.
#pragma once

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>

#include "base/failure.h"
#include "ports/linux/collector.h"
#include "ports/linux/perf_cpu_watch.h"
#include "trapline/base/units.h"
#include "trapline/watch/plan.h"

namespace trapline::linux_port {

// Why a plan is not set on a CPU.
struct CpuObstacle {
  CpuId cpu{};
  PerfCpuWatch::Refusal refusal;
  Plan plan;                      // empty: an event that has no debug register
  std::optional<Error> no_state;  // instead: the hotplug state failed
};

// The sentence for it. May take some milliseconds.
[[nodiscard]] Failure explain(const CpuObstacle& obstacle);

class CpuEventQueue {
 public:
  // `obstacle`: the CPU is online and not watched.
  void push(CpuEvent event, std::optional<CpuObstacle> obstacle = {});
  // Tells what was made at or before `until`, each at its place among the hits:
  // `deliver_hits(until)` delivers those, and says whether it stopped at a limit. True if it did.
  template <typename DeliverHits>
  bool deliver_between(SampleSink& sink, Nanoseconds until, DeliverHits deliver_hits) {
    while (true) {
      const Nanoseconds pause = std::min(oldest().value_or(until), until);
      if (deliver_hits(pause)) return true;
      const auto event = pop(pause);
      if (!event) return false;
      sink.on_cpu(*event);
    }
  }

 private:
  // The oldest, if it is not younger than `until`. May take some milliseconds to say why a CPU is
  // not watched; meanwhile others may push.
  [[nodiscard]] std::optional<CpuEvent> pop(Nanoseconds until);
  // The time of the oldest.
  [[nodiscard]] std::optional<Nanoseconds> oldest();
  struct Entry {
    CpuEvent event;
    std::optional<CpuObstacle> obstacle;
  };
  [[nodiscard]] std::optional<Entry> pop_entry(Nanoseconds until);

  std::mutex mutex_;  // guards the queue
  std::deque<Entry> entries_;
};

}  // namespace trapline::linux_port
