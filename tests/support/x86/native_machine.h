// For tests: the registers of the machine they run on, as UserRegisters numbers them, and the
// instructions that they write themselves. One for each architecture; CMake chooses the folder.
#pragma once

#include <ucontext.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "trapline/port/user_registers.h"

namespace trapline::native {

inline constexpr auto kInstructionPointer = static_cast<std::size_t>(X86Register::ip);
inline constexpr auto kStackPointer = static_cast<std::size_t>(X86Register::sp);
inline constexpr auto kFramePointer = static_cast<std::size_t>(X86Register::bp);
// The low half of the first argument, where that is longer than a register.
inline constexpr auto kFirstArgument = static_cast<std::size_t>(X86Register::di);

// What the doctor says of it, and the collectors that work on it.
inline constexpr const char* kArchitecture = "x86-64";
inline constexpr const char* kProbed =
    R"({"free_data_slots":4,"slots_are_shared":true,"accesses":["w","rw","x"],
                                 "lengths":[1,2,4,8],"unaligned":false})";
inline constexpr std::array kCollectors{"bpf", "perf", "ptrace"};

// How reports write a store of four bytes.
inline constexpr const char* kWordStoreText = "dword ptr";
// How many debug registers four bytes within eight take at least where they are not aligned.
inline constexpr int kSlotsOfAnUnalignedWord = 2;

// Whether a watch can see reads and no writes.
inline constexpr bool kWatchesReadsAlone = false;

// Machine code, for what decodes it: a store of four bytes and one of the lowest, from and to
// registers; and whether the trap is reported at it, not behind it.
inline constexpr std::array<std::uint8_t, 2> kWordStore{0x89, 0x18};  // mov [rax], ebx
inline constexpr std::array<std::uint8_t, 2> kByteStore{0x88, 0x18};  // mov [rax], bl
inline constexpr auto kStoredFrom = static_cast<std::size_t>(X86Register::bx);
inline constexpr auto kStoredTo = static_cast<std::size_t>(X86Register::ax);
inline constexpr bool kTrapsBeforeAccess = false;

// Whether a collector sees what the kernel writes for the program: else old values are approximate,
// and what is computed of them.
inline constexpr bool kSeesSystemCalls = true;

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

// Whether a return address lies behind a call of a function by name.
inline bool is_behind_a_call(std::uint64_t address) {
  constexpr std::uint64_t kCallBytes = 5;  // e8 and a distance
  return *reinterpret_cast<const std::uint8_t*>(address - kCallBytes) == 0xe8;
}

// A breakpoint instruction: SIGTRAP.
inline void break_here() {
  asm volatile("int3");
}
// For its handler: the program goes on behind the instruction. The trap has moved it there.
inline void go_on_behind_breakpoint(ucontext_t& /*context*/) {}

}  // namespace trapline::native
