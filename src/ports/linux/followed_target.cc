#include "ports/linux/followed_target.h"

namespace trapline::linux_port {

Result<FollowedTarget> FollowedTarget::open(const TargetScope& scope) {
  PerfProcesses processes;
  if (auto added = processes.add_first(scope.pid); !added)
    return std::unexpected(std::move(added.error()));
  return FollowedTarget(scope, std::move(processes));
}

void FollowedTarget::forked(const TaskRecord& birth, SampleSink& sink) {
  const bool is_process = birth.pid != birth.parent_pid;
  // A child of vfork writes to the memory of its parent, and nothing tells it from a child of fork.
  if (is_process) sink.on_gap();
  if (is_process && !scope_.follow_children) return;
  if (scope_.only_thread) return;
  sink.on_event(
      {.kind = is_process ? TargetEvent::Kind::process_forked : TargetEvent::Kind::thread_started,
       .pid = birth.pid,
       .tid = birth.tid,
       .parent = birth.parent_pid});
  if (is_process) processes_.add_child(birth.pid);
}

void FollowedTarget::exited(const TaskRecord& end, SampleSink& sink) {
  if (scope_.only_thread && end.tid != *scope_.only_thread) return;
  sink.on_event({.kind = TargetEvent::Kind::thread_exited, .pid = end.pid, .tid = end.tid});
}

void FollowedTarget::deliver_events(SampleSink& sink) {
  for (const TargetEvent& event : processes_.take_events()) sink.on_event(event);
}

}  // namespace trapline::linux_port
