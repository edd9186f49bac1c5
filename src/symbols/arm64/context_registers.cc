#include "symbols/context_registers.h"

#include <cstddef>

namespace trapline::symbols {

UserRegisters registers_of(const ucontext_t& context) {
  const mcontext_t& machine = context.uc_mcontext;
  UserRegisters registers;
  for (std::size_t number = 0; number <= static_cast<std::size_t>(Arm64Register::lr); ++number)
    registers.set(number, machine.regs[number]);
  registers.set(static_cast<std::size_t>(Arm64Register::sp), machine.sp);
  registers.set(static_cast<std::size_t>(Arm64Register::pc), machine.pc);
  return registers;
}

}  // namespace trapline::symbols
