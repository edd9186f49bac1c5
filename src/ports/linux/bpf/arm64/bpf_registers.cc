// Source: uapi asm/ptrace.h, struct user_pt_regs.
#include "ports/linux/bpf/bpf_registers.h"

#include <cstddef>

namespace trapline::linux_port {

UserRegisters registers_from_bpf(const bpf_user_pt_regs_t& registers) {
  UserRegisters result;
  for (std::size_t number = 0; number <= static_cast<std::size_t>(Arm64Register::lr); ++number)
    result.set(number, registers.regs[number]);
  result.set(static_cast<std::size_t>(Arm64Register::sp), registers.sp);
  result.set(static_cast<std::size_t>(Arm64Register::pc), registers.pc);
  return result;
}

}  // namespace trapline::linux_port
