// For tests: the registers of the machine they run on, as UserRegisters numbers them, and the
// instructions that they write themselves. One for each architecture; CMake chooses the folder.
#pragma once

#include <ucontext.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "trapline/port/user_registers.h"

namespace trapline::native {

inline constexpr auto kInstructionPointer = static_cast<std::size_t>(Arm64Register::pc);
inline constexpr auto kStackPointer = static_cast<std::size_t>(Arm64Register::sp);
inline constexpr auto kFramePointer = static_cast<std::size_t>(Arm64Register::fp);
inline constexpr std::size_t kFirstArgument = 0;

// What the doctor says of it, and the collectors that work on it.
inline constexpr const char* kArchitecture = "arm64";
inline constexpr const char* kProbed = R"({"free_data_slots":4,"slots_are_shared":false,
                                 "accesses":["r","w","rw","x"],"lengths":[1,2,3,4,5,6,7,8],
                                 "unaligned":true})";
inline constexpr std::array kCollectors{"perf", "ptrace"};

// How reports write a store of four bytes.
inline constexpr const char* kWordStoreText = "str ";
// How many debug registers four bytes within eight take at least where they are not aligned.
inline constexpr int kSlotsOfAnUnalignedWord = 1;

// Whether a watch can see reads and no writes.
inline constexpr bool kWatchesReadsAlone = true;

// Machine code, for what decodes it: a store of four bytes and one of the lowest, from and to
// registers; and whether the trap is reported at it, not behind it.
inline constexpr std::array<std::uint8_t, 4> kWordStore{0x01, 0x00, 0x00, 0xb9};  // str w1, [x0]
inline constexpr std::array<std::uint8_t, 4> kByteStore{0x01, 0x00, 0x00, 0x39};  // strb w1, [x0]
inline constexpr auto kStoredFrom = std::size_t{1};
inline constexpr auto kStoredTo = std::size_t{0};
inline constexpr bool kTrapsBeforeAccess = true;

// Whether a collector sees what the kernel writes for the program: else old values are approximate,
// and what is computed of them.
inline constexpr bool kSeesSystemCalls = false;

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

// Whether a return address lies behind a call of a function by name.
inline bool is_behind_a_call(std::uint64_t address) {
  constexpr std::uint32_t kOperation = 0xfc000000;
  constexpr std::uint32_t kCall = 0x94000000;  // BL
  return (*reinterpret_cast<const std::uint32_t*>(address - sizeof kCall) & kOperation) == kCall;
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
