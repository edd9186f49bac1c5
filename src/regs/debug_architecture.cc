#include "trapline/port/debug_architecture.h"

namespace trapline {
namespace {

// Linux demands it of an execute breakpoint on x86 (arch/x86/kernel/hw_breakpoint.c:
// X86_BREAKPOINT_LEN_X).
constexpr ByteCount kX86CodeLength{8};
// An A32 or A64 instruction; Linux asks for HW_BREAKPOINT_LEN_4 (2 for Thumb, which covers a half
// of it).
constexpr ByteCount kArmCodeLength{4};
constexpr std::uint8_t kX86Slots = 4;

}  // namespace

DebugArchitecture x86_64_debug_architecture() {
  return {.name = "x86-64",
          .data_slots = kX86Slots,
          .code_slots = kX86Slots,
          .slots_are_shared = true,
          .addressing = DataAddressing::aligned_power_of_two,
          .max_data_length = ByteCount{8},
          .accesses = {Access::write, Access::read_write, Access::execute},
          .code_length = kX86CodeLength,
          .traps_before_access = false};
}

DebugArchitecture arm64_debug_architecture(std::uint8_t breakpoints, std::uint8_t watchpoints) {
  return {.name = "arm64",
          .data_slots = watchpoints,
          .code_slots = breakpoints,
          .slots_are_shared = false,
          .addressing = DataAddressing::byte_select,
          .max_data_length = ByteCount{8},
          .accesses = {Access::read, Access::write, Access::read_write, Access::execute},
          .code_length = kArmCodeLength,
          .traps_before_access = true};
}

DebugArchitecture armv7_debug_architecture(std::uint8_t breakpoints, std::uint8_t watchpoints,
                                           ByteCount window, AccessSet accesses) {
  return {.name = "armv7",
          .data_slots = watchpoints,
          .code_slots = breakpoints,
          .slots_are_shared = false,
          .addressing = DataAddressing::byte_select,
          .max_data_length = window,
          .accesses = accesses,
          .code_length = kArmCodeLength,
          .traps_before_access = true};
}

}  // namespace trapline
