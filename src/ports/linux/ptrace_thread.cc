#include "ports/linux/ptrace_thread.h"

#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>

namespace trapline::linux_port {
namespace {

StopKind kind_of(int status) {
  if (!WIFSTOPPED(status)) return StopKind::ended;
  switch (status >> 16) {
    case PTRACE_EVENT_STOP:
      return WSTOPSIG(status) == SIGTRAP ? StopKind::trap : StopKind::group_stop;
    case PTRACE_EVENT_CLONE:
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
      return StopKind::new_thread;
    case PTRACE_EVENT_EXEC:
      return StopKind::exec;
    case PTRACE_EVENT_EXIT:
      return StopKind::exiting;
    default:
      return StopKind::signal;
  }
}

int call(__ptrace_request request, ThreadId tid, std::uintptr_t data) {
  return ::ptrace(request, tid.value, nullptr, data) == 0 ? 0 : errno;
}

}  // namespace

NextStop next_stop() {
  siginfo_t info{};
  // WNOWAIT: look before taking, so that no child of somebody else in this process is reaped.
  // Traced threads are reported as CLD_TRAPPED, others as CLD_STOPPED (kernel/exit.c,
  // wait_task_stopped). Without WEXITED, ends are not seen, so that an unrelated zombie cannot hide
  // what comes after it.
  const int options = WSTOPPED | WNOHANG | WNOWAIT | __WALL | __WNOTHREAD;
  if (::waitid(P_ALL, 0, &info, options) != 0 || info.si_pid == 0) return {};
  if (info.si_code != CLD_TRAPPED) return {.stop = std::nullopt, .unrelated = true};
  return {.stop = take_stop(ThreadId{info.si_pid}).stop};
}

TakenStop take_stop(ThreadId tid) {
  int status = 0;
  pid_t waited = 0;
  do {
    waited = ::waitpid(tid.value, &status, WNOHANG | __WALL | __WNOTHREAD);
  } while (waited < 0 && errno == EINTR);
  if (waited < 0) return {.stop = std::nullopt, .gone = true};
  if (waited == 0) return {};
  const StopKind kind = kind_of(status);
  return {.stop = ThreadStop{.tid = tid,
                             .kind = kind,
                             .signal = kind == StopKind::ended ? 0 : WSTOPSIG(status),
                             .wait_status = status},
          .gone = kind == StopKind::ended};
}

int seize(ThreadId tid, std::uintptr_t options) {
  return call(PTRACE_SEIZE, tid, options);
}

int set_options(ThreadId tid, std::uintptr_t options) {
  return call(PTRACE_SETOPTIONS, tid, options);
}

void interrupt(ThreadId tid) {
  call(PTRACE_INTERRUPT, tid, 0);
}

void resume(ThreadId tid, int signal) {
  call(PTRACE_CONT, tid, static_cast<std::uintptr_t>(signal));
}

bool step(ThreadId tid) {
  const int error = call(PTRACE_SINGLESTEP, tid, 0);
  return error == 0 || error == ESRCH;
}

void stay_stopped(ThreadId tid) {
  call(PTRACE_LISTEN, tid, 0);
}

void detach(ThreadId tid, int signal) {
  call(PTRACE_DETACH, tid, static_cast<std::uintptr_t>(signal));
}

int read_regset(ThreadId tid, unsigned set, void* destination, std::size_t size) {
  iovec vector{.iov_base = destination, .iov_len = size};
  return ::ptrace(PTRACE_GETREGSET, tid.value, set, &vector) == 0 ? 0 : errno;
}

Error error_of_registers(int error, ErrorCode otherwise) {
  switch (error) {
    case ENOSPC:
      return {ErrorCode::no_free_slot, error};
    case ESRCH:
      return {ErrorCode::target_gone, error};
    default:
      return {otherwise, error};
  }
}

std::optional<siginfo_t> signal_info(ThreadId tid) {
  siginfo_t info{};
  if (::ptrace(PTRACE_GETSIGINFO, tid.value, nullptr, &info) != 0) return std::nullopt;
  return info;
}

bool has_pending_trap(ThreadId tid) {
  std::array<siginfo_t, 16> queue;
  __ptrace_peeksiginfo_args arguments{.off = 0, .flags = 0, .nr = queue.size()};
  while (true) {
    const long count = ::ptrace(PTRACE_PEEKSIGINFO, tid.value, &arguments, queue.data());
    if (count <= 0) return false;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      const bool is_ours = queue[i].si_code == TRAP_HWBKPT || queue[i].si_code == TRAP_TRACE;
      if (queue[i].si_signo == SIGTRAP && is_ours) return true;
    }
    arguments.off += static_cast<std::uint64_t>(count);
  }
}

std::optional<ThreadId> event_thread(ThreadId tid) {
  unsigned long message = 0;
  if (::ptrace(PTRACE_GETEVENTMSG, tid.value, nullptr, &message) != 0) return std::nullopt;
  return ThreadId{static_cast<std::int32_t>(message)};
}

}  // namespace trapline::linux_port
