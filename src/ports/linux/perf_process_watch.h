// Whether a process still runs the program it ran when this was made.
//
// Exact without tracing it: a pidfd says when it has ended, and an open /proc/PID/maps stays bound
// to the address space it was opened for, so it reads empty once a new program has replaced that
// (fs/proc/task_mmu.c: the reader fails to take a reference to the old mm). Perf itself is silent
// here, since events that are removed at exec are gone before the exec is recorded.
#pragma once

#include <optional>

#include "base/failure.h"
#include "ports/linux/file_descriptor.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

class PerfProcessWatch {
 public:
  // Where /proc/PID/maps may not be read (CAP_PERFMON alone does not allow it), state() never says
  // replaced. Errors: no_such_process, limit_reached, os_failure.
  [[nodiscard]] static Result<PerfProcessWatch> open(ProcessId pid);

  enum class State : std::uint8_t { running, replaced, ended };
  [[nodiscard]] State state() const;
  [[nodiscard]] bool sees_replacement() const { return maps_.is_open(); }

  // Becomes readable when the process has ended.
  [[nodiscard]] int descriptor() const { return pid_fd_.get(); }

  // As waitpid gives it, without reaping; nullopt unless it is this process's own child and has
  // ended.
  [[nodiscard]] std::optional<int> wait_status() const;

 private:
  PerfProcessWatch(ProcessId pid, FileDescriptor pid_fd, FileDescriptor maps)
      : pid_(pid), pid_fd_(std::move(pid_fd)), maps_(std::move(maps)) {}

  [[nodiscard]] bool has_ended() const;

  ProcessId pid_;
  FileDescriptor pid_fd_;
  FileDescriptor maps_;
};

}  // namespace trapline::linux_port
