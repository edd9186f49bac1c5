// Source: uapi asm/perf_regs.h; arch/x86/kernel/perf_regs.c refuses the segment registers of old.
#include "ports/linux/perf_arch.h"

#include <asm/perf_regs.h>

namespace trapline::linux_port {

PerfArchitecture native_perf_architecture() {
  constexpr std::uint64_t kRefused = 1ULL << PERF_REG_X86_DS | 1ULL << PERF_REG_X86_ES |
                                     1ULL << PERF_REG_X86_FS | 1ULL << PERF_REG_X86_GS;
  return {.registers = ((1ULL << PERF_REG_X86_64_MAX) - 1) & ~kRefused,
          .instruction_pointer = PERF_REG_X86_IP,
          .return_address_on_stack = true};
}

}  // namespace trapline::linux_port
