#include "ports/linux/ptrace_guard.h"

#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <tuple>
#include <utility>
#include <vector>

#include "ports/linux/proc_fs.h"
#include "ports/linux/ptrace_arch.h"
#include "ports/linux/ptrace_thread.h"

namespace trapline::linux_port {
namespace {

// In a message, instead of a process id.
constexpr std::int32_t kDismissed = 0;

// The tracer's death takes a moment between closing the socket and letting go; a thread that cannot
// be traced for longer than this is somebody else's.
constexpr int kStopAttempts = 20'000;
constexpr useconds_t kRetryMicroseconds = 50;

// Clears a thread that has stopped, and lets it go as soon as no hit is queued in it.
void handle_stop(ThreadId tid, int status) {
  const bool is_event = status >> 16 != 0;
  const auto info = is_event ? std::nullopt : signal_info(tid);
  const bool is_hit = info && info->si_signo == SIGTRAP && info->si_code == TRAP_HWBKPT;
  const int signal = is_event || is_hit ? 0 : WSTOPSIG(status);
  std::ignore = clear_debug_registers(tid);
  std::ignore = take_fired_registers(tid);
  if (has_pending_trap(tid)) {
    resume(tid, signal);
  } else {
    detach(tid, signal);
  }
}

// False when nobody is traced any more. The guard has no other children to wait for.
bool handle_next(int options) {
  int status = 0;
  const pid_t tid = ::waitpid(-1, &status, __WALL | options);
  if (tid > 0 && WIFSTOPPED(status)) handle_stop(ThreadId{tid}, status);
  return tid > 0 || (tid < 0 && errno == EINTR);
}

// Whether the thread is traced now, or needs no help.
bool catch_thread(ThreadId tid) {
  const int error = seize(tid, 0);
  if (error == 0) interrupt(tid);
  return error != EPERM;
}

void rescue(const std::vector<ProcessId>& pids) {
  std::vector<ThreadId> pending;
  for (const ProcessId pid : pids) {
    if (const auto tids = list_threads(pid))
      pending.insert(pending.end(), tids->begin(), tids->end());
  }
  for (int attempt = 0; attempt < kStopAttempts && !pending.empty(); ++attempt) {
    std::erase_if(pending, catch_thread);
    while (handle_next(WNOHANG)) {
    }
    if (!pending.empty()) ::usleep(kRetryMicroseconds);
  }
  // Threads that sleep in the kernel stop when they return from it.
  while (handle_next(0)) {
  }
}

// A descriptor inherited from the tracer would keep its pipes, files and perf events alive.
void close_all_but(int kept) {
  const auto number = static_cast<unsigned>(kept);
  if (number > 0) ::close_range(0, number - 1, 0);
  ::close_range(number + 1, ~0U, 0);
}

[[noreturn]] void run_guard(const FileDescriptor& control) {
  close_all_but(control.get());
  // Neither a key press nor a polite kill of the group may take it before its work is done.
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
  ::prctl(PR_SET_NAME, "trapline-guard");
  std::vector<ProcessId> pids;
  while (true) {
    std::int32_t message = kDismissed;
    const ssize_t count = ::read(control.get(), &message, sizeof message);
    if (count < 0 && errno == EINTR) continue;
    if (count != sizeof message) break;
    if (message == kDismissed) ::_exit(0);
    pids.push_back(ProcessId{message});
  }
  rescue(pids);
  ::_exit(0);
}

}  // namespace

PtraceGuard::~PtraceGuard() {
  dismiss();
}

Result<void> PtraceGuard::start() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail(ErrorCode::limit_reached, "no descriptors left for the guard process", errno);
  FileDescriptor guard_end(ends[0]);
  FileDescriptor tracer_end(ends[1]);
  const pid_t child = ::fork();
  if (child < 0)
    return fail(ErrorCode::limit_reached, "no more processes are allowed for the guard", errno);
  if (child == 0) {
    tracer_end.reset();
    run_guard(guard_end);
  }
  pid_ = child;
  control_ = std::move(tracer_end);
  return {};
}

void PtraceGuard::add(ProcessId pid) {
  if (!control_.is_open()) return;
  // MSG_NOSIGNAL: a guard that somebody killed must not take the tracer with it.
  while (::send(control_.get(), &pid.value, sizeof pid.value, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

void PtraceGuard::keep_until_exit() {
  std::ignore = control_.release();
}

void PtraceGuard::dismiss() {
  if (!control_.is_open()) return;
  add(ProcessId{kDismissed});
  control_.reset();
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

}  // namespace trapline::linux_port
