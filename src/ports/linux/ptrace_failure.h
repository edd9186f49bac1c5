// Why a thread may not be traced or given debug registers, as a sentence with the next step.
#pragma once

#include "base/failure.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

// After PTRACE_SEIZE of one of the process's threads failed with this errno. permission_denied
// (naming the tracer, the setting or the owner), no_such_process, limit_reached, os_failure.
[[nodiscard]] Failure explain_seize_failure(ProcessId pid, int error);

// After write_debug_registers of a thread failed.
[[nodiscard]] Failure explain_register_failure(ProcessId pid, ThreadId tid, Error error);

}  // namespace trapline::linux_port
