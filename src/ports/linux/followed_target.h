// The target of a watch while it is watched: whether anybody is left of it, what its tasks do, and
// what of that the sink is told. One thread.
#pragma once

#include <utility>
#include <vector>

#include "base/failure.h"
#include "ports/linux/collector.h"
#include "ports/linux/perf_processes.h"
#include "ports/linux/perf_records.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

class FollowedTarget {
 public:
  // Errors: as PerfProcessWatch::open.
  [[nodiscard]] static Result<FollowedTarget> open(const TargetScope& scope);

  // Looks after the processes, at most 50 times a second. `events` of the watch, all of them:
  // is_hung_up() tells of targets whose end no process tells.
  template <typename Events>
  void check(Nanoseconds now, const Events& events) {
    if (is_gone_ || now.value < last_check_.value + kCheckInterval.value) return;
    last_check_ = now;
    processes_.check();
    is_gone_ = nobody_is_left(events);
  }
  // For the last time: whoever has ended has, whatever the time.
  void check_finally() { processes_.check(); }
  // As of the last check, and of what was told since: a child that was forked just before it
  // counts.
  template <typename Events>
  [[nodiscard]] bool is_gone(const Events& events) {
    is_gone_ = is_gone_ && nobody_is_left(events);
    return is_gone_;
  }
  [[nodiscard]] bool seems_gone() const { return is_gone_; }

  // What was recorded of its tasks.
  void forked(const TaskRecord& birth, SampleSink& sink);
  void exited(const TaskRecord& end, SampleSink& sink);
  void executed(ProcessId pid) { processes_.note_executed(pid); }

  // Tells of the processes that have ended or run another program.
  void deliver_events(SampleSink& sink);
  // Readable when one of the processes has ended. Changes with forked() and check().
  [[nodiscard]] std::vector<int> descriptors() const { return processes_.descriptors(); }

 private:
  static constexpr Nanoseconds kCheckInterval{20'000'000};

  FollowedTarget(const TargetScope& scope, PerfProcesses processes)
      : scope_(scope), processes_(std::move(processes)) {}

  template <typename Events>
  [[nodiscard]] bool nobody_is_left(const Events& events) const {
    return processes_.all_gone() || (is_silent_end_possible() && events.is_hung_up());
  }
  // Whether the end of all that is watched can be something that no process tells.
  [[nodiscard]] bool is_silent_end_possible() const {
    return scope_.only_thread.has_value() || processes_.may_miss_exec();
  }

  TargetScope scope_;
  PerfProcesses processes_;
  Nanoseconds last_check_;
  bool is_gone_ = false;
};

}  // namespace trapline::linux_port
