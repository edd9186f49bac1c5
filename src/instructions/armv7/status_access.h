// Armv7 instructions that read or write the program status register, CPSR: MRS, MSR and CPS. Pure;
// builds on any host.
//
// Whoever steps over an instruction with interrupts masked shows it a mask that is not the
// program's, and takes back what it did to it. So these are executed here instead, on the saved
// registers. Exception returns write the whole register from elsewhere: they are only recognised.
//
// Source: Arm ARM Armv7-A/R (DDI 0406C), A8.8.109 (MRS), B9.3.2 (CPS), B9.3.11 and 12 (MSR),
// B9.3.13 (RFE), B9.3.19 and 20 (SUBS PC, LR), B1.3.3 (CPSRWriteByInstr).
#pragma once

#include <cstdint>
#include <optional>

#include "instructions/armv7/next_address.h"

namespace trapline::instructions::armv7 {

enum class StatusAccess : std::uint8_t {
  none,
  executable,  // execute_status_access does it
  // An exception return, or an MRS into sp or lr, which are banked: a saved frame cannot change
  // them.
  other,
};

// `instruction` as for next_address.
[[nodiscard]] StatusAccess status_access_of(std::uint32_t instruction, bool is_thumb);

// The registers after the instruction: pc behind it, in an IT block too, and where its condition
// does not hold. nullopt: it is not one of the executable ones. A change of mode changes cpsr only:
// r[13] and r[14] stay those of the mode before. A mask of FIQs can be cleared and set, as where
// SCTLR.NMFI is 0.
[[nodiscard]] std::optional<CoreRegisters> execute_status_access(std::uint32_t instruction,
                                                                 const CoreRegisters& registers);

}  // namespace trapline::instructions::armv7
