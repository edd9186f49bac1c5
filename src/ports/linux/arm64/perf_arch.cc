// Source: uapi asm/perf_regs.h.
#include "ports/linux/perf_arch.h"

#include <asm/perf_regs.h>

namespace trapline::linux_port {

PerfArchitecture native_perf_architecture() {
  return {.registers = (1ULL << PERF_REG_ARM64_MAX) - 1,
          .instruction_pointer = PERF_REG_ARM64_PC,
          .return_address_on_stack = false,
          .link_register = PERF_REG_ARM64_LR};
}

}  // namespace trapline::linux_port
