// Starting a command so that it can be watched from its first instruction on.
//
// The child is run under ptrace up to its program's entry point: the dynamic loader has then mapped
// and relocated the program and every library it is linked with, but no initialiser of the program
// itself and no main has run. Nothing is left in the child: the one instruction replaced at the
// entry point is put back before anybody looks.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/failure.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

class LaunchedCommand {
 public:
  // Blocks until the child waits at its entry point. Errors: unknown_name (no such command; not
  // executable), permission_denied (ptrace forbidden, set-uid program), target_gone (it ended
  // before its entry point), os_failure.
  [[nodiscard]] static Result<LaunchedCommand> start(const std::vector<std::string>& arguments);

  LaunchedCommand(LaunchedCommand&& other) noexcept;
  LaunchedCommand& operator=(LaunchedCommand&& other) noexcept;
  // Kills the child if it was neither released nor handed over: it never ran a line of its own.
  ~LaunchedCommand();

  [[nodiscard]] ProcessId pid() const { return pid_; }

  // Lets the child run, untraced. For collectors that do not trace.
  [[nodiscard]] Result<void> release();
  // The child stays stopped and traced by this thread; the caller (the ptrace collector's install)
  // takes it from here.
  void hand_over() { pid_ = ProcessId{0}; }

 private:
  explicit LaunchedCommand(ProcessId pid) : pid_(pid) {}
  ProcessId pid_;
};

}  // namespace trapline::linux_port
