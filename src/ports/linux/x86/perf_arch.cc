// Source: uapi asm/perf_regs.h; arch/x86/kernel/perf_regs.c refuses the segment registers of old.
#include "ports/linux/perf_arch.h"

#include <asm/perf_regs.h>

namespace trapline::linux_port {

PerfArchitecture native_perf_architecture() {
  constexpr std::uint64_t kRefused = 1ULL << PERF_REG_X86_DS | 1ULL << PERF_REG_X86_ES |
                                     1ULL << PERF_REG_X86_FS | 1ULL << PERF_REG_X86_GS;
  // Nothing is computed from these two, and each register costs some 60 ns a hit.
  constexpr std::uint64_t kUseless = 1ULL << PERF_REG_X86_CS | 1ULL << PERF_REG_X86_SS;
  return {.registers = ((1ULL << PERF_REG_X86_64_MAX) - 1) & ~kRefused & ~kUseless,
          .instruction_pointer = PERF_REG_X86_IP,
          .return_address_on_stack = true};
}

}  // namespace trapline::linux_port
