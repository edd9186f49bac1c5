#include "symbols/context_registers.h"

#include <cstddef>
#include <cstdint>

namespace trapline::symbols {
namespace {

void set(UserRegisters& registers, X86Register name, greg_t value) {
  registers.set(static_cast<std::size_t>(name), static_cast<std::uint64_t>(value));
}

}  // namespace

UserRegisters registers_of(const ucontext_t& context) {
  const auto& general = context.uc_mcontext.gregs;
  UserRegisters registers;
  set(registers, X86Register::ax, general[REG_RAX]);
  set(registers, X86Register::bx, general[REG_RBX]);
  set(registers, X86Register::cx, general[REG_RCX]);
  set(registers, X86Register::dx, general[REG_RDX]);
  set(registers, X86Register::si, general[REG_RSI]);
  set(registers, X86Register::di, general[REG_RDI]);
  set(registers, X86Register::bp, general[REG_RBP]);
  set(registers, X86Register::sp, general[REG_RSP]);
  set(registers, X86Register::ip, general[REG_RIP]);
  set(registers, X86Register::r8, general[REG_R8]);
  set(registers, X86Register::r9, general[REG_R9]);
  set(registers, X86Register::r10, general[REG_R10]);
  set(registers, X86Register::r11, general[REG_R11]);
  set(registers, X86Register::r12, general[REG_R12]);
  set(registers, X86Register::r13, general[REG_R13]);
  set(registers, X86Register::r14, general[REG_R14]);
  set(registers, X86Register::r15, general[REG_R15]);
  return registers;
}

}  // namespace trapline::symbols
