// User registers as a BPF program sees them, as ours. One body per architecture, in its folder.
#pragma once

#include <linux/bpf_perf_event.h>

#include "trapline/port/user_registers.h"

namespace trapline::linux_port {

[[nodiscard]] UserRegisters registers_from_bpf(const bpf_user_pt_regs_t& registers);

}  // namespace trapline::linux_port
