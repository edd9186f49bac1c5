// For tests: the registers of the machine they run on, as UserRegisters numbers them, and the
// instructions that they write themselves. One for each architecture; CMake chooses the folder.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <cstdint>

#include "trapline/port/user_registers.h"

namespace trapline::native {

inline constexpr auto kInstructionPointer = static_cast<std::size_t>(Arm64Register::pc);
inline constexpr auto kStackPointer = static_cast<std::size_t>(Arm64Register::sp);
inline constexpr auto kFramePointer = static_cast<std::size_t>(Arm64Register::fp);
inline constexpr std::size_t kFirstArgument = 0;

// Inlined, so that the store is its caller's own: word = value, in one store from the register of
// the first argument.
[[gnu::always_inline]] inline void store_first_argument(volatile std::uint64_t& word,
                                                        std::uint64_t value) {
  register std::uint64_t x0 asm("x0") = value;
  asm volatile("str %1, %0" : "=Q"(word) : "r"(x0));
}

// The same from any register, with a frame pointer that leads nowhere.
[[gnu::always_inline]] inline void store_without_frame(volatile std::uint64_t& word,
                                                       std::uint64_t value) {
  asm volatile(
      "mov x9, x29\n"
      "movz x29, #0x1234, lsl #16\n"
      "str %1, [%0]\n"
      "mov x29, x9\n"
      :
      : "r"(&word), "r"(value)
      : "x9", "memory");
}

// A breakpoint instruction: SIGTRAP.
inline void break_here() {
  asm volatile("brk #0");
}
// For its handler: the program goes on behind the instruction. It stands at it.
inline void go_on_behind_breakpoint(ucontext_t& context) {
  constexpr unsigned kInstructionBytes = 4;
  context.uc_mcontext.pc += kInstructionBytes;
}

}  // namespace trapline::native
