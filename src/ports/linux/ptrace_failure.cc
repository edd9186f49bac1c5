#include "ports/linux/ptrace_failure.h"

#include <unistd.h>

#include <cerrno>
#include <string>

#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {
namespace {

std::string describe(ProcessId pid) {
  const std::string name = thread_name(pid, ThreadId{pid.value});
  const std::string number = std::to_string(pid.value);
  return name.empty() ? "process " + number : "process " + number + " (" + name + ")";
}

Failure denied(std::string message, int error) {
  return {Error{ErrorCode::permission_denied, error}, std::move(message)};
}

// kernel.yama.ptrace_scope, Documentation/admin-guide/LSM/Yama.rst.
Failure explain_yama(ProcessId pid, std::int64_t scope, int error) {
  constexpr std::int64_t kNoAttach = 3;
  const std::string setting = "kernel.yama.ptrace_scope is " + std::to_string(scope);
  if (scope >= kNoAttach) {
    return denied(setting +
                      ", which forbids ptrace to everybody until the next boot; use "
                      "--collector perf for " +
                      describe(pid),
                  error);
  }
  return denied(setting + ", which forbids tracing " + describe(pid) +
                    " without CAP_SYS_PTRACE. Run as root, start it under trapline (-- CMD)" +
                    (scope == 1 ? ", or: sysctl kernel.yama.ptrace_scope=0" : ""),
                error);
}

Failure explain_denial(ProcessId pid, int error) {
  if (pid.value == ::getpid()) {
    return denied("a process cannot trace itself: process " + std::to_string(pid.value) +
                      " is trapline; use --collector perf",
                  error);
  }
  const auto status = read_status(pid);
  if (!status) return status.error();
  if (status->tracer.value != 0) {
    return denied(describe(pid) + " is being traced by " + describe(status->tracer) +
                      " already, and only one can; end that session, or use --collector perf",
                  error);
  }
  const auto scope = read_number("/proc/sys/kernel/yama/ptrace_scope");
  if (scope.value_or(0) != 0 && ::geteuid() != 0) return explain_yama(pid, *scope, error);
  if (status->effective_uid != ::geteuid() && ::geteuid() != 0) {
    return denied(describe(pid) + " belongs to another user (uid " +
                      std::to_string(status->effective_uid) + "); run trapline as root",
                  error);
  }
  const auto maps = read_maps(pid);
  if (maps && maps->empty() && ::geteuid() == 0) {
    return denied(describe(pid) + " is a kernel thread, which ptrace cannot trace", error);
  }
  if (scope.value_or(0) != 0) return explain_yama(pid, *scope, error);
  return denied("the system does not let this user trace " + describe(pid) +
                    " (it changed its user or made itself undumpable, or a security policy or a "
                    "container's seccomp filter forbids ptrace). Run as root, or in a container "
                    "with --cap-add SYS_PTRACE",
                error);
}

}  // namespace

Failure explain_seize_failure(ProcessId pid, int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return explain_denial(pid, error);
    case ESRCH:
      return {Error{ErrorCode::no_such_process, error},
              "there is no process " + std::to_string(pid.value) + ", or it has just ended"};
    case ENOMEM:
    case EAGAIN:
      return {Error{ErrorCode::limit_reached, error},
              "the kernel has no memory left to trace " + describe(pid)};
    default:
      return {Error{ErrorCode::os_failure, error}, "the kernel refuses to trace " + describe(pid) +
                                                       " (error " + std::to_string(error) +
                                                       "); try --collector perf"};
  }
}

Failure explain_register_failure(ProcessId pid, ThreadId tid, Error error) {
  const std::string who = "thread " + std::to_string(tid.value) + " of " + describe(pid);
  switch (error.code) {
    case ErrorCode::no_free_slot:
      return {error,
              "the debug registers of " + who +
                  " are taken by breakpoint events (perf, bpftrace, another trapline); trapline "
                  "doctor says who holds them. Close one, or watch fewer bytes"};
    case ErrorCode::target_gone:
      return {error, who + " ended while it was being prepared"};
    case ErrorCode::unreadable_memory:
      return {error,
              "the kernel lets ptrace watch addresses of user programs only; for a kernel address "
              "use --collector perf"};
    case ErrorCode::not_supported:
      return {error,
              "ptrace reports a hit before the access and cannot step over it on this architecture "
              "(PTRACE_SINGLESTEP); use --collector perf"};
    default:
      return {error, "the debug registers of " + who + " cannot be set (error " +
                         std::to_string(error.os_errno) + "); try --collector perf"};
  }
}

}  // namespace trapline::linux_port
