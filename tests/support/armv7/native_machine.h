// For tests: the registers of the machine they run on, as UserRegisters numbers them, and the
// instructions that they write themselves. One for each architecture; CMake chooses the folder.
#pragma once

#include <ucontext.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "trapline/port/user_registers.h"

namespace trapline::native {

inline constexpr auto kInstructionPointer = static_cast<std::size_t>(ArmRegister::pc);
inline constexpr auto kStackPointer = static_cast<std::size_t>(ArmRegister::sp);
inline constexpr auto kFramePointer = static_cast<std::size_t>(ArmRegister::fp);
// The low half of the first argument, where that is longer than a register.
inline constexpr std::size_t kFirstArgument = 0;

// What the doctor says of it, and the collectors that work on it.
inline constexpr const char* kArchitecture = "armv7";
inline constexpr const char* kProbed = R"({"slots_are_shared":false})";
inline constexpr std::array kCollectors{"perf", "ptrace"};

// How reports write a store of four bytes.
inline constexpr const char* kWordStoreText = "str";
// How many debug registers four bytes within eight take at least where they are not aligned.
inline constexpr int kSlotsOfAnUnalignedWord = 1;

// Whether a watch can see reads and no writes.
inline constexpr bool kWatchesReadsAlone = true;

// Machine code, for what decodes it: a store of four bytes and one of the lowest, from and to
// registers; and whether the trap is reported at it, not behind it.
inline constexpr std::array<std::uint8_t, 4> kWordStore{0x00, 0x10, 0x80, 0xe5};  // str r1, [r0]
inline constexpr std::array<std::uint8_t, 4> kByteStore{0x00, 0x10, 0xc0, 0xe5};  // strb r1, [r0]
inline constexpr auto kStoredFrom = std::size_t{1};
inline constexpr auto kStoredTo = std::size_t{0};
inline constexpr bool kTrapsBeforeAccess = true;

// Whether a collector sees what the kernel writes for the program: else old values are approximate,
// and what is computed of them.
inline constexpr bool kSeesSystemCalls = false;

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

// Whether a return address, in code as this is built, lies behind a call of a function by name: BL
// or BLX of its instruction set.
inline bool is_behind_a_call(std::uint64_t address) {
#ifdef __thumb__
  constexpr bool kIsThumb = true;
#else
  constexpr bool kIsThumb = false;
#endif
  const auto code = static_cast<std::uintptr_t>(address & ~std::uint64_t{1});
  if (!kIsThumb) return (*reinterpret_cast<const std::uint32_t*>(code - 4) >> 24 & 0xf) == 0xb;
  const auto* const halves = reinterpret_cast<const std::uint16_t*>(code - 4);
  return (halves[0] & 0xf800) == 0xf000 && (halves[1] & 0xc000) == 0xc000;
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
