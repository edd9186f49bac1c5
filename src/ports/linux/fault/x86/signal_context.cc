#include "ports/linux/fault/signal_context.h"

namespace trapline::linux_port {
namespace {

// Exception vectors (SDM vol. 3, Table 6-1), which the kernel hands on as trapno.
constexpr greg_t kBreakpoint = 3;
constexpr greg_t kPageFault = 14;

// A page fault's error code (SDM vol. 3, 4.7).
constexpr greg_t kWrite = 1U << 1;
constexpr greg_t kFetch = 1U << 4;

constexpr std::uint32_t kAnyAccess = TRAPLINE_GUARD_READ | TRAPLINE_GUARD_WRITE;

}  // namespace

std::uintptr_t SignalContext::faulting_instruction() const {
  const auto& registers = context_.uc_mcontext.gregs;
  const auto at = static_cast<std::uintptr_t>(registers[REG_RIP]);
  // INT3 is a trap: it reports the instruction after it. It is one byte long.
  return signal_ == SIGTRAP && registers[REG_TRAPNO] == kBreakpoint ? at - 1 : at;
}

void SignalContext::continue_at(std::uintptr_t address) {
  context_.uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(address);
}

void SignalContext::set_fault_word(std::uintptr_t word) {
  context_.uc_mcontext.gregs[REG_R11] = static_cast<greg_t>(word);  // TRAPLINE_FAULT_REGISTER
}

std::uintptr_t SignalContext::instruction_pointer() const {
  return static_cast<std::uintptr_t>(context_.uc_mcontext.gregs[REG_RIP]);
}

fault::StackPosition SignalContext::stack() const {
  const auto& registers = context_.uc_mcontext.gregs;
  return {static_cast<std::uintptr_t>(registers[REG_RSP]),
          static_cast<std::uintptr_t>(registers[REG_RBP])};
}

std::uint32_t SignalContext::attempted() const {
  const auto& registers = context_.uc_mcontext.gregs;
  // #GP and #SS (not canonical, or an instruction that is not permitted), #AC: nothing more is
  // known.
  if (is_without_address()) return kAnyAccess | TRAPLINE_GUARD_INSTRUCTION;
  if (registers[REG_TRAPNO] != kPageFault) return kAnyAccess;
  const greg_t error = registers[REG_ERR];
  if ((error & kFetch) != 0) return TRAPLINE_GUARD_EXECUTE;
  return (error & kWrite) != 0 ? TRAPLINE_GUARD_WRITE : TRAPLINE_GUARD_READ;
}

bool SignalContext::is_without_address() const {
  constexpr greg_t kStackSegment = 12;
  constexpr greg_t kGeneralProtection = 13;
  const greg_t vector = context_.uc_mcontext.gregs[REG_TRAPNO];
  return vector == kStackSegment || vector == kGeneralProtection;
}

}  // namespace trapline::linux_port
