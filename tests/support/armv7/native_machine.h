// For tests: the registers of the machine they run on, as UserRegisters numbers them, and the
// instructions that they write themselves. One for each architecture; CMake chooses the folder.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <cstdint>

#include "trapline/port/user_registers.h"

namespace trapline::native {

inline constexpr auto kInstructionPointer = static_cast<std::size_t>(ArmRegister::pc);
inline constexpr auto kStackPointer = static_cast<std::size_t>(ArmRegister::sp);
inline constexpr auto kFramePointer = static_cast<std::size_t>(ArmRegister::fp);
// The low half of the first argument, where that is longer than a register.
inline constexpr std::size_t kFirstArgument = 0;

// Inlined, so that the store is its caller's own: word = value, in one store from the registers of
// the first argument.
[[gnu::always_inline]] inline void store_first_argument(volatile std::uint64_t& word,
                                                        std::uint64_t value) {
  register std::uint64_t r0 asm("r0") = value;  // and r1
  asm volatile("strd %1, %H1, %0" : "=Q"(word) : "r"(r0));
}

// The same from any register, with a frame pointer that leads nowhere.
[[gnu::always_inline]] inline void store_without_frame(volatile std::uint64_t& word,
                                                       std::uint64_t value) {
  register volatile std::uint64_t* r2 asm("r2") = &word;
  register std::uint64_t r0 asm("r0") = value;  // and r1
  asm volatile(
      "mov r12, r11\n"
      "movw r11, #0x1234\n"
      "strd %1, %H1, [%0]\n"
      "mov r11, r12\n"
      :
      : "r"(r2), "r"(r0)
      : "r12", "memory");
}

// A breakpoint instruction: SIGTRAP. The one that the kernel takes for debuggers' (the kernel's
// arch/arm/kernel/ptrace.c), of each instruction set.
inline void break_here() {
#ifdef __thumb__
  asm volatile(".inst.n 0xde01");
#else
  asm volatile(".inst 0xe7f001f0");
#endif
}
// For its handler: the program goes on behind the instruction. It stands at it.
inline void go_on_behind_breakpoint(ucontext_t& context) {
#ifdef __thumb__
  constexpr unsigned kInstructionBytes = 2;
#else
  constexpr unsigned kInstructionBytes = 4;
#endif
  context.uc_mcontext.arm_pc += kInstructionBytes;
}

}  // namespace trapline::native
