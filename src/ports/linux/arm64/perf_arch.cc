// Source: uapi asm/perf_regs.h. The kernel reaches user memory by unprivileged instructions, which
// a watchpoint for user mode matches; yet it takes debug exceptions in its own mode only while
// somebody watches an address of its own (MDSCR_EL1.KDE; Arm ARM, D2.4): no hit, as measured
// on 6.1.
#include "ports/linux/perf_arch.h"

#include <asm/perf_regs.h>

namespace trapline::linux_port {

PerfArchitecture native_perf_architecture() {
  return {.registers = (1ULL << PERF_REG_ARM64_MAX) - 1,
          .instruction_pointer = PERF_REG_ARM64_PC,
          .return_address_on_stack = false,
          .link_register = PERF_REG_ARM64_LR,
          .sees_system_calls = false};
}

}  // namespace trapline::linux_port
