// The processes a watch follows: who is left, and what became of the others. One thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/failure.h"
#include "ports/linux/collector.h"
#include "ports/linux/perf_process_watch.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

class PerfProcesses {
 public:
  // Errors: as PerfProcessWatch::open.
  [[nodiscard]] Result<void> add_first(ProcessId pid);
  // A process that one of the others has forked; it may have ended or executed something already.
  void add_child(ProcessId pid);

  // Looks after everybody. What happened waits in take_events.
  void check();
  // Perf itself saw that the process executes another program.
  void note_executed(ProcessId pid);

  // executed and process_exited, each once, in the order they were found.
  [[nodiscard]] std::vector<TargetEvent> take_events();

  // Nobody is left who runs a program that was watched.
  [[nodiscard]] bool all_gone() const { return watches_.empty(); }
  // Whether an exec could pass unnoticed by check().
  [[nodiscard]] bool may_miss_exec() const;
  // Readable when one of them has ended.
  [[nodiscard]] std::vector<int> descriptors() const;

 private:
  void report(TargetEvent::Kind kind, ProcessId pid, std::optional<int> wait_status);

  std::map<ProcessId, PerfProcessWatch> watches_;
  std::string program_;  // that the first one runs
  std::vector<TargetEvent> events_;
};

}  // namespace trapline::linux_port
