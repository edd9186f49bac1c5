#include "ports/linux/fault/signal_context.h"

#include "regs/armv7/exception_state.h"

namespace trapline::linux_port {
namespace {

// What the kernel puts into trap_no for an abort, and adds to the fault status for one of a fetch
// (arch/arm/mm/fault.c, FSR_LNX_PF).
constexpr unsigned long kAbort = 14;
constexpr unsigned long kFetch = 1UL << 31;

// CPSR.T (Arm ARM B1.3.3).
constexpr unsigned long kThumbState = 1UL << 5;

}  // namespace

// The kernel has taken the offset of the exception off, in both states.
std::uintptr_t SignalContext::faulting_instruction() const {
  return context_.uc_mcontext.arm_pc;
}

void SignalContext::continue_at(std::uintptr_t address) {
  auto& registers = context_.uc_mcontext;
  registers.arm_pc = address;
  registers.arm_cpsr = regs::armv7::state_at_fixup(static_cast<std::uint32_t>(registers.arm_cpsr));
}

void SignalContext::set_fault_word(std::uintptr_t word) {
  context_.uc_mcontext.arm_ip = word;  // r12, TRAPLINE_FAULT_REGISTER
}

std::uintptr_t SignalContext::instruction_pointer() const {
  return context_.uc_mcontext.arm_pc;
}

fault::StackPosition SignalContext::stack() const {
  const auto& registers = context_.uc_mcontext;
  const bool is_thumb = (registers.arm_cpsr & kThumbState) != 0;
  return {registers.arm_sp, is_thumb ? registers.arm_r7 : registers.arm_fp};
}

std::uint32_t SignalContext::attempted() const {
  const auto& registers = context_.uc_mcontext;
  if (registers.trap_no != kAbort) {
    return TRAPLINE_GUARD_READ | TRAPLINE_GUARD_WRITE | TRAPLINE_GUARD_EXECUTE;
  }
  if ((registers.error_code & kFetch) != 0) return TRAPLINE_GUARD_EXECUTE;
  const auto status =
      regs::armv7::decode_fault_status(static_cast<std::uint32_t>(registers.error_code));
  return status.is_write ? TRAPLINE_GUARD_WRITE : TRAPLINE_GUARD_READ;
}

bool SignalContext::is_without_address() const {
  return false;
}

}  // namespace trapline::linux_port
