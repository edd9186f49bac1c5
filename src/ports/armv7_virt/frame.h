// The registers of interrupted code, as vectors.S saves and restores them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "isa/armv7/system_registers.h"
#include "regs/armv7/exception_state.h"

namespace trapline::armv7_virt {

struct ExceptionFrame {
  std::array<std::uint32_t, 13> r;
  std::uint32_t sp;  // of the interrupted mode; sp and lr are told, but not restored
  std::uint32_t lr;
  std::uint32_t pc;  // of the instruction itself: fault handlers see to that first (faults.cc)
  std::uint32_t cpsr;

  [[nodiscard]] bool is_thumb() const { return (cpsr & isa::armv7::kThumbBit) != 0; }
  [[nodiscard]] std::uint32_t mode() const { return cpsr & isa::armv7::kModeMask; }

  // As port of fault::FaultContext (trapline/fault/exception_table.h).
  [[nodiscard]] std::uintptr_t faulting_instruction() const { return pc; }
  void continue_at(std::uintptr_t address) {
    pc = address & ~std::uintptr_t{1};
    cpsr = regs::armv7::state_at_fixup(cpsr);
  }
  void set_fault_word(std::uintptr_t word) { r[kFaultWordRegister] = word; }

 private:
  static constexpr std::size_t kFaultWordRegister = 12;
};
// vectors.S.
static_assert(offsetof(ExceptionFrame, sp) == 52 && offsetof(ExceptionFrame, lr) == 56 &&
              offsetof(ExceptionFrame, pc) == 60 && sizeof(ExceptionFrame) == 68);

}  // namespace trapline::armv7_virt
