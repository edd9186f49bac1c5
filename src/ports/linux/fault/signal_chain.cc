#include "ports/linux/fault/signal_chain.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

namespace trapline::linux_port {
namespace {

// The kernel's signal set: 64 signals. The rest of the C library's, in a signal frame, is something
// else.
constexpr std::size_t kKernelSetBytes = 8;

bool has_handler(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 ||
         (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
}

sigset_t mask_for(const struct sigaction& action, int signal, const ucontext_t& context) {
  sigset_t mask;
  ::sigemptyset(&mask);
  std::memcpy(&mask, &context.uc_sigmask, kKernelSetBytes);
  for (int other = 1; other < NSIG; ++other) {
    if (::sigismember(&action.sa_mask, other) == 1) ::sigaddset(&mask, other);
  }
  if ((action.sa_flags & SA_NODEFER) == 0) ::sigaddset(&mask, signal);
  return mask;
}

}  // namespace

int flags_in_front_of(const struct sigaction& previous) {
  // SA_ONSTACK where nobody minds: the program's stack may be what is broken. SA_RESTART: a signal
  // that was ignored did not interrupt anything.
  if (!has_handler(previous)) return SA_SIGINFO | SA_ONSTACK | SA_RESTART;
#ifdef SA_EXPOSE_TAGBITS
  constexpr int kKept = SA_ONSTACK | SA_RESTART | SA_EXPOSE_TAGBITS;
#else
  constexpr int kKept = SA_ONSTACK | SA_RESTART;
#endif
  return SA_SIGINFO | (previous.sa_flags & kKept);
}

Fate fate_of(const struct sigaction& action, bool is_synchronous) {
  if (has_handler(action)) return Fate::handle;
  // A fault cannot be ignored: the instruction would only fault again (kernel/signal.c,
  // force_sig_info_to_task).
  return action.sa_handler == SIG_IGN && !is_synchronous ? Fate::ignore : Fate::end;
}

void call_handler(const struct sigaction& action, int signal, siginfo_t* info,
                  ucontext_t* context) {
  const sigset_t mask = mask_for(action, signal, *context);
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  if ((action.sa_flags & SA_SIGINFO) != 0) {
    action.sa_sigaction(signal, info, context);
  } else {
    action.sa_handler(signal);
  }
}

void end_by_signal(int signal, siginfo_t* info) {
  struct sigaction by_default{};
  by_default.sa_handler = SIG_DFL;
  ::sigaction(signal, &by_default, nullptr);
  // Blocked until our handler returns. A process may send itself what only the kernel sends others.
  if (::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), ::gettid(), signal, info) != 0) {
    // Not allowed here (seccomp). A fault repeats itself, but what was sent does not.
    if (info->si_code <= 0) ::raise(signal);
  }
}

}  // namespace trapline::linux_port
