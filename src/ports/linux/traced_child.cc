#include "ports/linux/traced_child.h"

#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace trapline::linux_port {
namespace {

// Until it has stopped or ended; false if it has ended.
bool wait_for_stop(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, __WALL) < 0) {
    if (errno != EINTR) return false;
  }
  return WIFSTOPPED(status);
}

// Forked from a process that may have other threads: only what signal-safety(7) allows.
[[noreturn]] void wait_as_tracee() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0) ::kill(::getpid(), SIGSTOP);
  ::_exit(0);
}

}  // namespace

TracedChild::TracedChild() {
  const pid_t pid = ::fork();
  if (pid == 0) wait_as_tracee();
  if (pid > 0 && wait_for_stop(pid)) tid_ = ThreadId{pid};
}

TracedChild::~TracedChild() {
  if (tid_.value == 0) return;
  ::kill(tid_.value, SIGKILL);
  while (wait_for_stop(tid_.value)) {
  }
}

}  // namespace trapline::linux_port
