#include "ports/linux/perf_process_watch.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {
namespace {

bool has_memory(const FileDescriptor& maps) {
  char byte = 0;
  return ::pread(maps.get(), &byte, 1, 0) == 1;
}

FileDescriptor open_maps(const std::string& task) {
  return FileDescriptor(::open(("/proc/" + task + "/maps").c_str(), O_RDONLY | O_CLOEXEC));
}

// The process's memory as one of its threads has it: the first thread may have ended before the
// others and has none then. Not open if it may not be read (errno), closed again if there is none.
FileDescriptor open_memory(ProcessId pid) {
  const std::string process = std::to_string(pid.value);
  FileDescriptor maps = open_maps(process);
  if (!maps.is_open() || has_memory(maps)) return maps;
  for (const ThreadId tid : list_threads(pid).value_or(std::vector<ThreadId>{})) {
    maps = open_maps(process + "/task/" + std::to_string(tid.value));
    if (maps.is_open() && has_memory(maps)) return maps;
  }
  maps.reset();
  errno = ESRCH;
  return maps;
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
  // A process without memory is on its way out, or a thread of the kernel.
  FileDescriptor maps = open_memory(pid);
  if (!maps.is_open() && errno != EACCES && errno != EPERM) return cannot_follow(pid, errno);
  return PerfProcessWatch(pid, std::move(pid_fd), std::move(maps));
}

PerfProcessWatch::State PerfProcessWatch::state() const {
  if (has_ended()) return State::ended;
  if (!sees_replacement() || has_memory(maps_)) return State::running;
  // Its memory is gone: a new program has other memory, a process that is ending has none and its
  // pidfd will say so in a moment.
  return open_memory(pid_).is_open() && !has_ended() ? State::replaced : State::running;
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
