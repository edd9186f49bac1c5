// What a machine's debug registers can do: the facts a plan is made from.
//
// A plain value. Functions below give it for each architecture Trapline knows; a port narrows it by
// what it finds at run time (a kernel that keeps a slot for itself, a CPU with fewer watchpoints).
// Freestanding.
#pragma once

#include <cstdint>
#include <string_view>

#include "trapline/base/access.h"
#include "trapline/base/units.h"

namespace trapline {

// How a data slot names the bytes it covers.
enum class DataAddressing : std::uint8_t {
  aligned_power_of_two,  // 1, 2, 4, 8 ... bytes at an address that is a multiple of the length
                         // (x86: SDM vol. 3, 17.2.4)
  byte_select,  // any run of bytes inside one aligned window (Arm: DBGWCR.BAS, Arm ARM D2/G2
                // "Watchpoints")
};

struct DebugArchitecture {
  std::string_view name;        // "x86-64", "arm64", "armv7"
  std::uint8_t data_slots = 0;  // watchpoint registers
  std::uint8_t code_slots = 0;  // breakpoint registers
  bool slots_are_shared =
      false;  // one pool serves data and code (then both counts are the pool's size)
  DataAddressing addressing = DataAddressing::aligned_power_of_two;
  ByteCount max_data_length;  // aligned_power_of_two: the longest slot; byte_select: the window
  AccessSet accesses;         // the kinds a slot can tell apart
  ByteCount code_length;      // what an execute slot is asked to cover
  bool traps_before_access =
      false;  // Arm: the saved IP is the culprit; x86: the instruction after it
};

// x86-64: DR0-DR3, shared; W, RW, X (there is no read-only kind); code length sizeof(long) as Linux
// demands (arch/x86/kernel/hw_breakpoint.c).
[[nodiscard]] DebugArchitecture x86_64_debug_architecture();

// arm64: `breakpoints` and `watchpoints` as ID_AA64DFR0_EL1 gives them (BRPs + 1, WRPs + 1).
[[nodiscard]] DebugArchitecture arm64_debug_architecture(std::uint8_t breakpoints,
                                                         std::uint8_t watchpoints);

// Armv7: `breakpoints` and `watchpoints` as DBGDIDR gives them. `window` is 8 for v7.1 debug, 4
// before. `accesses` is what the kernel lets through: hardware has R, W and RW; Linux before v8
// debug allows RW only.
[[nodiscard]] DebugArchitecture armv7_debug_architecture(std::uint8_t breakpoints,
                                                         std::uint8_t watchpoints, ByteCount window,
                                                         AccessSet accesses);

}  // namespace trapline
