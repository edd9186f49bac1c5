// Does a debug register really fire here? Some hypervisors accept the value and never trap.
#pragma once

#include <string>

#include "base/failure.h"

namespace trapline::linux_port {

// Watches a private variable of this thread through perf, writes it once, and counts. Takes one
// slot of this thread for some microseconds. Errors: no_hardware (accepted, did not fire),
// permission_denied, no_free_slot, not_supported.
[[nodiscard]] Result<void> self_test_perf();

// Whether perf reports the accesses after the first one, too. Where traps come before the access,
// the kernel has to step over it, which some emulators do not let it. Found out once, in the same
// way; true where it cannot be tried.
[[nodiscard]] bool perf_steps_over_hits();
// What that means to a user; "" where it steps.
[[nodiscard]] std::string perf_drawback();

// The same by BPF programs on a perf event; proves that they see what was written, too. Errors: as
// above, and those of BpfWatchPrograms::load. Some milliseconds.
[[nodiscard]] Result<void> self_test_bpf();

// The same through ptrace, on a child of this process made for it. Some milliseconds.
[[nodiscard]] Result<void> self_test_ptrace();

}  // namespace trapline::linux_port
