#include "symbols/context_registers.h"

#include <cstddef>

namespace trapline::symbols {

UserRegisters registers_of(const ucontext_t& context) {
  // struct sigcontext of asm/sigcontext.h: r0 to r15, one behind the other.
  const unsigned long* const general = &context.uc_mcontext.arm_r0;
  UserRegisters registers;
  for (std::size_t number = 0; number <= static_cast<std::size_t>(ArmRegister::pc); ++number)
    registers.set(number, general[number]);
  // Saved as the return address that it is, whose bit 0 is the instruction set.
  constexpr auto kPc = static_cast<std::size_t>(ArmRegister::pc);
  registers.set(kPc, general[kPc] & ~1UL);
  return registers;
}

}  // namespace trapline::symbols
