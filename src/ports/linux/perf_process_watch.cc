#include "ports/linux/perf_process_watch.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace trapline::linux_port {
namespace {

FileDescriptor open_maps(ProcessId pid) {
  const std::string path = "/proc/" + std::to_string(pid.value) + "/maps";
  return FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

bool has_memory(const FileDescriptor& maps) {
  char byte = 0;
  return ::pread(maps.get(), &byte, 1, 0) == 1;
}

std::unexpected<Failure> cannot_follow(ProcessId pid, int error) {
  const std::string number = std::to_string(pid.value);
  switch (error) {
    case ESRCH:
    case ENOENT:
      return fail(
          ErrorCode::no_such_process,
          "there is no process " + number + ", or it has just ended; check with: ps -p " + number,
          error);
    case EMFILE:
    case ENFILE:
      return fail(ErrorCode::limit_reached,
                  "no descriptors are left to follow process " + number +
                      "; raise the limit with: ulimit -n",
                  error);
    default:
      return fail(ErrorCode::os_failure,
                  "process " + number + " cannot be followed (error " + std::to_string(error) +
                      " of pidfd_open); this needs Linux 5.3 or newer and a mounted /proc",
                  error);
  }
}

}  // namespace

Result<PerfProcessWatch> PerfProcessWatch::open(ProcessId pid) {
  FileDescriptor pid_fd(static_cast<int>(::syscall(SYS_pidfd_open, pid.value, 0U)));
  if (!pid_fd.is_open()) return cannot_follow(pid, errno);
  FileDescriptor maps = open_maps(pid);
  if (!maps.is_open() && errno != EACCES && errno != EPERM) return cannot_follow(pid, errno);
  PerfProcessWatch watch(pid, std::move(pid_fd), std::move(maps));
  // A process without memory is on its way out, or a thread of the kernel.
  if (watch.sees_replacement() && !has_memory(watch.maps_)) return cannot_follow(pid, ESRCH);
  return watch;
}

PerfProcessWatch::State PerfProcessWatch::state() const {
  if (has_ended()) return State::ended;
  if (!sees_replacement() || has_memory(maps_)) return State::running;
  // Its memory is gone: a new program has other memory, a process that is ending has none and its
  // pidfd will say so in a moment.
  const FileDescriptor now = open_maps(pid_);
  return now.is_open() && has_memory(now) && !has_ended() ? State::replaced : State::running;
}

bool PerfProcessWatch::has_ended() const {
  pollfd request{.fd = pid_fd_.get(), .events = POLLIN, .revents = 0};
  return ::poll(&request, 1, 0) == 1 && (request.revents & POLLIN) != 0;
}

std::optional<int> PerfProcessWatch::wait_status() const {
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(pid_fd_.get()), &info, WEXITED | WNOHANG | WNOWAIT) !=
          0 ||
      info.si_pid == 0)
    return std::nullopt;
  // The encoding that WIFEXITED and WIFSIGNALED take apart.
  constexpr int kCoreDumped = 0x80;
  switch (info.si_code) {
    case CLD_EXITED:
      return (info.si_status & 0xff) << 8;
    case CLD_DUMPED:
      return info.si_status | kCoreDumped;
    default:
      return info.si_status;
  }
}

}  // namespace trapline::linux_port
