// For tests: the registers of the machine they run on, as UserRegisters numbers them, and the
// instructions that they write themselves. One for each architecture; CMake chooses the folder.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <cstdint>

#include "trapline/port/user_registers.h"

namespace trapline::native {

inline constexpr auto kInstructionPointer = static_cast<std::size_t>(X86Register::ip);
inline constexpr auto kStackPointer = static_cast<std::size_t>(X86Register::sp);
inline constexpr auto kFramePointer = static_cast<std::size_t>(X86Register::bp);
// The low half of the first argument, where that is longer than a register.
inline constexpr auto kFirstArgument = static_cast<std::size_t>(X86Register::di);

// Inlined, so that the store is its caller's own: word = value, in one store from the register of
// the first argument.
[[gnu::always_inline]] inline void store_first_argument(volatile std::uint64_t& word,
                                                        std::uint64_t value) {
  asm volatile("movq %1, %0" : "=m"(word) : "D"(value));
}

// The same from any register, with a frame pointer that leads nowhere.
[[gnu::always_inline]] inline void store_without_frame(volatile std::uint64_t& word,
                                                       std::uint64_t value) {
  asm volatile(
      "movq %%rbp, %%r11\n"
      "movq $0x123456789, %%rbp\n"
      "movq %1, (%0)\n"
      "movq %%r11, %%rbp\n"
      :
      : "a"(&word), "d"(value)
      : "r11", "memory");
}

// A breakpoint instruction: SIGTRAP.
inline void break_here() {
  asm volatile("int3");
}
// For its handler: the program goes on behind the instruction. The trap has moved it there.
inline void go_on_behind_breakpoint(ucontext_t& /*context*/) {}

}  // namespace trapline::native
