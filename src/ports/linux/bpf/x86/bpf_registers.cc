// Source: uapi asm/ptrace.h, struct pt_regs.
#include "ports/linux/bpf/bpf_registers.h"

#include <cstddef>

namespace trapline::linux_port {

UserRegisters registers_from_bpf(const bpf_user_pt_regs_t& registers) {
  UserRegisters result;
  const auto set = [&](X86Register name, std::uint64_t value) {
    result.set(static_cast<std::size_t>(name), value);
  };
  set(X86Register::ax, registers.rax);
  set(X86Register::bx, registers.rbx);
  set(X86Register::cx, registers.rcx);
  set(X86Register::dx, registers.rdx);
  set(X86Register::si, registers.rsi);
  set(X86Register::di, registers.rdi);
  set(X86Register::bp, registers.rbp);
  set(X86Register::sp, registers.rsp);
  set(X86Register::ip, registers.rip);
  set(X86Register::flags, registers.eflags);
  set(X86Register::r8, registers.r8);
  set(X86Register::r9, registers.r9);
  set(X86Register::r10, registers.r10);
  set(X86Register::r11, registers.r11);
  set(X86Register::r12, registers.r12);
  set(X86Register::r13, registers.r13);
  set(X86Register::r14, registers.r14);
  set(X86Register::r15, registers.r15);
  return result;
}

}  // namespace trapline::linux_port
