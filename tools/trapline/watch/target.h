// Whom a watch is about: a process that runs already, one thread of it, a command started for it,
// or the whole machine.
#pragma once

#include <optional>
#include <string>

#include "base/failure.h"
#include "ports/linux/collector.h"
#include "ports/linux/file_descriptor.h"
#include "ports/linux/launch.h"
#include "tools/trapline/watch/watch_options.h"

namespace trapline::command {

class Target {
 public:
  // Attaching changes nothing in the process yet. A command is started and waits at its entry
  // point.
  [[nodiscard]] static Result<Target> acquire(const WatchOptions& options,
                                              const linux_port::InheritedSignals& signals);

  [[nodiscard]] const linux_port::TargetScope& scope() const { return scope_; }
  [[nodiscard]] bool is_command() const { return is_command_; }
  // "app (pid 812, 4 threads)", "app (thread 814 of pid 812)", "all processes".
  [[nodiscard]] std::string describe() const;
  // Readable once the process has ended; -1, which poll(2) passes over, for the whole machine.
  [[nodiscard]] int exit_descriptor() const { return pidfd_.get(); }
  [[nodiscard]] bool has_exited() const;

  // After a collector is installed: the command runs. `by_tracer`: the collector traces it and lets
  // it run itself.
  [[nodiscard]] Result<void> run(bool by_tracer);

  // A command's wait status once it has ended; nullopt while it runs, and for a process that is not
  // our child.
  [[nodiscard]] std::optional<int> reap();

 private:
  Target() = default;

  linux_port::TargetScope scope_{};
  bool is_command_ = false;
  std::optional<linux_port::LaunchedCommand> launched_;  // until it runs
  linux_port::FileDescriptor pidfd_;
  std::optional<int> wait_status_;
};

}  // namespace trapline::command
