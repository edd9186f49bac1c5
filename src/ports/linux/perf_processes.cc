#include "ports/linux/perf_processes.h"

#include <algorithm>
#include <utility>

#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {

Result<void> PerfProcesses::add_first(ProcessId pid) {
  auto watch = PerfProcessWatch::open(pid);
  if (!watch) return std::unexpected(std::move(watch.error()));
  watches_.emplace(pid, *std::move(watch));
  program_ = executable_path(pid);
  return {};
}

void PerfProcesses::add_child(ProcessId pid) {
  auto watch = PerfProcessWatch::open(pid);
  if (!watch) {
    report(TargetEvent::Kind::process_exited, pid, std::nullopt);
  } else if (executable_path(pid) != program_) {
    report(TargetEvent::Kind::executed, pid, std::nullopt);
  } else {
    watches_.emplace(pid, *std::move(watch));
  }
}

void PerfProcesses::check() {
  using State = PerfProcessWatch::State;
  for (auto entry = watches_.begin(); entry != watches_.end();) {
    const auto& [pid, watch] = *entry;
    const State state = watch.state();
    if (state == State::running) {
      ++entry;
      continue;
    }
    if (state == State::replaced) {
      report(TargetEvent::Kind::executed, pid, std::nullopt);
    } else {
      report(TargetEvent::Kind::process_exited, pid, watch.wait_status());
    }
    entry = watches_.erase(entry);
  }
}

void PerfProcesses::note_executed(ProcessId pid) {
  if (watches_.erase(pid) != 0) report(TargetEvent::Kind::executed, pid, std::nullopt);
}

std::vector<TargetEvent> PerfProcesses::take_events() {
  return std::exchange(events_, {});
}

bool PerfProcesses::may_miss_exec() const {
  return std::any_of(watches_.begin(), watches_.end(),
                     [](const auto& entry) { return !entry.second.sees_replacement(); });
}

std::vector<int> PerfProcesses::descriptors() const {
  std::vector<int> descriptors;
  descriptors.reserve(watches_.size());
  for (const auto& [pid, watch] : watches_) descriptors.push_back(watch.descriptor());
  return descriptors;
}

void PerfProcesses::report(TargetEvent::Kind kind, ProcessId pid, std::optional<int> wait_status) {
  events_.push_back(
      {.kind = kind, .pid = pid, .tid = ThreadId{pid.value}, .wait_status = wait_status});
}

}  // namespace trapline::linux_port
