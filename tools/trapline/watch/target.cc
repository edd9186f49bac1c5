#include "tools/trapline/watch/target.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "ports/linux/proc_fs.h"

namespace trapline::command {
namespace {

// glibc has a wrapper from 2.36 only, and without a declaration in C++ headers of all versions; the
// number is stable.
linux_port::FileDescriptor open_pidfd(ProcessId pid) {
  return linux_port::FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid.value, 0)));
}

Result<linux_port::TargetScope> find_process(std::int32_t number) {
  const auto pid = linux_port::process_of(ThreadId{number});
  if (!pid)
    return fail(ErrorCode::no_such_process,
                fmt::format("there is no process or thread {}", number));
  const auto status = linux_port::read_status(*pid);
  if (!status) return std::unexpected(status.error());
  if (status->has_ended()) {
    return fail(ErrorCode::target_gone,
                fmt::format("process {} ({}) has ended; its parent has not collected it yet",
                            number, status->name));
  }
  linux_port::TargetScope scope{.pid = *pid, .only_thread = std::nullopt};
  if (pid->value != number) scope.only_thread = ThreadId{number};
  return scope;
}

}  // namespace

Result<Target> Target::acquire(const WatchOptions& options,
                               const linux_port::InheritedSignals& signals) {
  Target target;
  if (options.whole_machine) {
    target.scope_.whole_machine = true;
    return target;
  }
  if (options.pid) {
    const auto scope = find_process(*options.pid);
    if (!scope) return std::unexpected(scope.error());
    target.scope_ = *scope;
  } else {
    auto launched = linux_port::LaunchedCommand::start(options.command, signals);
    if (!launched) return std::unexpected(std::move(launched.error()));
    target.scope_.pid = launched->pid();
    target.launched_ = std::move(*launched);
    target.is_command_ = true;
  }
  target.scope_.follow_children = options.follow_children;
  target.pidfd_ = open_pidfd(target.scope_.pid);
  if (!target.pidfd_.is_open()) {
    return fail(ErrorCode::target_gone,
                fmt::format("process {} has ended", target.scope_.pid.value), errno);
  }
  return target;
}

std::string Target::describe() const {
  if (scope_.whole_machine) return "all processes";
  const ProcessId pid = scope_.pid;
  const std::string name = linux_port::thread_name(pid, ThreadId{pid.value});
  if (scope_.only_thread) {
    return fmt::format("{} (thread {} of pid {})", name, scope_.only_thread->value, pid.value);
  }
  const auto threads = linux_port::list_threads(pid);
  const std::size_t count = threads ? threads->size() : 0;
  return fmt::format("{} (pid {}, {} {})", name, pid.value, count,
                     count == 1 ? "thread" : "threads");
}

bool Target::has_exited() const {
  pollfd entry{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
  return ::poll(&entry, 1, 0) == 1;
}

Result<void> Target::run(bool by_tracer) {
  if (!launched_) return {};
  if (by_tracer) {
    launched_->hand_over();
    launched_.reset();
    return {};
  }
  auto released = launched_->release();
  launched_.reset();
  return released;
}

std::optional<int> Target::reap() {
  if (!is_command_) return std::nullopt;
  if (wait_status_) return wait_status_;
  int status = 0;
  pid_t reaped = 0;
  do {
    reaped = ::waitpid(scope_.pid.value, &status, WNOHANG);
  } while (reaped < 0 && errno == EINTR);
  if (reaped == scope_.pid.value && (WIFEXITED(status) || WIFSIGNALED(status)))
    wait_status_ = status;
  return wait_status_;
}

}  // namespace trapline::command
