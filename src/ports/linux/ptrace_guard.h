// Survives its creator's death to clear the debug registers it left in others.
//
// A process of its own, forked from the tracer: when the tracer is killed, the kernel lets its
// tracees run on with their debug registers set, and the next hit kills them. The guard sees the
// tracer's end (the socket between them closes before the tracees are let go, kernel/exit.c
// do_exit), traces each thread of the processes it was told of as soon as it can, clears the
// registers and lets go. Between the two a thread may hit: the guard narrows that window to some
// microseconds, it cannot close it. It needs the right to trace the target by itself: with
// kernel.yama.ptrace_scope 1 and no CAP_SYS_PTRACE, it cannot help a launched command.
#pragma once

#include <sys/types.h>

#include "base/failure.h"
#include "ports/linux/file_descriptor.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

class PtraceGuard {
 public:
  PtraceGuard() = default;
  PtraceGuard(const PtraceGuard&) = delete;
  PtraceGuard& operator=(const PtraceGuard&) = delete;
  // dismiss().
  ~PtraceGuard();

  // Errors: limit_reached; the caller goes on without, and says so.
  [[nodiscard]] Result<void> start();
  // Also watch over this process. Ignored when not started.
  void add(ProcessId pid);
  // Something is left to clear that the tracer could not: the guard does it once this process ends.
  void keep_until_exit();
  // Nothing is left to clear: the guard ends without looking at anybody, and is reaped.
  void dismiss();

 private:
  FileDescriptor control_;
  pid_t pid_ = 0;
};

}  // namespace trapline::linux_port
