// What an Armv7 CPU tells of an exception, and the processor state to return with. Pure values;
// builds on any host.
//
// Source: Arm ARM Armv7-A/R (DDI 0406C), B1.8 "Exception handling" (Table B1-7, the link register's
// offsets), B1.3.3 (PSR), B3.13.3 and B3.13.4 (fault status, Tables B3-23 and B3-24).
#pragma once

#include <cstdint>

namespace trapline::regs::armv7 {

enum class ExceptionKind : std::uint8_t { undefined_instruction, prefetch_abort, data_abort };

// The instruction that the exception is about, without a Thumb bit. `link` is the banked LR as the
// exception left it, `saved_state` the SPSR.
[[nodiscard]] std::uint32_t faulting_instruction(ExceptionKind kind, std::uint32_t link,
                                                 std::uint32_t saved_state);

// The state in which to continue at another instruction of the same instruction set: without the
// condition of the IT block that the old one stood in, which would skip the new one.
[[nodiscard]] std::uint32_t state_at_fixup(std::uint32_t saved_state);

enum class AbortCause : std::uint8_t {
  translation,  // nothing is mapped
  permission,   // permission, domain or access flag
  alignment,
  external,      // the bus answered with an error: nothing is at the physical address
  parity,        // the memory, or a cache, is broken
  debug,         // a watchpoint, a breakpoint, BKPT
  asynchronous,  // imprecise: about some earlier access, so no instruction can be blamed
  other,
};

struct AbortStatus {
  AbortCause cause = AbortCause::other;
  bool is_write = false;  // data aborts only

  friend constexpr bool operator==(const AbortStatus&, const AbortStatus&) = default;
};

// `fault_status` is DFSR or IFSR. Bit 9 (LPAE) says in which of its two formats it is.
[[nodiscard]] AbortStatus decode_fault_status(std::uint32_t fault_status);

}  // namespace trapline::regs::armv7
