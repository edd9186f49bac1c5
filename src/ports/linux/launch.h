// Starting a command so that it can be watched from its first instruction on.
//
// The child is run under ptrace up to its program's entry point: the dynamic loader has then mapped
// and relocated the program and every library it is linked with, but no initialiser of the program
// itself and no main has run. Nothing is left in the child: the one instruction replaced at the
// entry point is put back before anybody looks.
//
// All calls from one thread: ptrace ties the child to the thread that started it. The child is
// killed by the kernel if that thread ends before release() or before a collector took it over
// (PTRACE_O_EXITKILL). Standard input, output and error are inherited, and so is every other
// descriptor without close-on-exec; none of Trapline's own is without it. Of a script, what runs to
// its entry point and is watched is the interpreter.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "base/failure.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

// What a command inherits of signals. capture() it before blocking or ignoring any, so that a
// command that is started later does not inherit that too.
struct InheritedSignals {
  sigset_t mask{};     // blocked in the calling thread
  sigset_t ignored{};  // SIG_IGN in the process

  [[nodiscard]] static InheritedSignals capture();
};

class LaunchedCommand {
 public:
  // Blocks until the child waits at its entry point; signals that reach the child meanwhile are
  // delivered to it. `arguments[0]` is looked up as execvp(3) does. Errors: unknown_name (no such
  // command; not executable), permission_denied (ptrace forbidden, set-uid or set-gid
  // program, file capabilities), not_supported
  // (a 32-bit program), target_gone (it ended before its entry point), limit_reached, os_failure.
  // After an error no child is left.
  [[nodiscard]] static Result<LaunchedCommand> start(
      const std::vector<std::string>& arguments,
      const InheritedSignals& signals = InheritedSignals::capture());

  LaunchedCommand(LaunchedCommand&& other) noexcept;
  LaunchedCommand& operator=(LaunchedCommand&& other) noexcept;
  LaunchedCommand(const LaunchedCommand&) = delete;
  LaunchedCommand& operator=(const LaunchedCommand&) = delete;
  // Kills the child if it was neither released nor handed over: it never ran a line of its own.
  ~LaunchedCommand();

  // 0 after release() and hand_over(); the child is then the caller's to wait for.
  [[nodiscard]] ProcessId pid() const { return pid_; }

  // Lets the child run, untraced. For collectors that do not trace. The caller reaps it with
  // waitpid. Errors: target_gone (killed while it waited).
  [[nodiscard]] Result<void> release();
  // The child stays stopped and traced by this thread; the caller (the ptrace collector's install)
  // takes it from here.
  void hand_over() { pid_ = ProcessId{0}; }

 private:
  explicit LaunchedCommand(ProcessId pid) : pid_(pid) {}
  void kill_child();

  ProcessId pid_;
};

}  // namespace trapline::linux_port
