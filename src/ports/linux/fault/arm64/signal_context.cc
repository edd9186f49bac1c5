#include "ports/linux/fault/signal_context.h"

#include <asm/sigcontext.h>

#include <cstring>
#include <optional>

namespace trapline::linux_port {
namespace {

// ESR_EL1 (Arm ARM D17.2.37): the exception class, and for a data abort whether it was a write.
// Cache maintenance is reported as a write, whatever it is.
constexpr unsigned kClassShift = 26;
constexpr std::uint64_t kInstructionAbort = 0x20;
constexpr std::uint64_t kDataAbort = 0x24;
constexpr std::uint64_t kWrite = 1U << 6;
constexpr std::uint64_t kCacheMaintenance = 1U << 8;

// PSTATE.BTYPE: what kind of branch led here. Set, the fixup would have to be a landing pad.
constexpr std::uint64_t kBranchType = 0b11U << 10;

// The record of that kind in the frame's list (arch/arm64/include/uapi/asm/sigcontext.h). Kernels
// and emulators may leave it out.
std::optional<std::uint64_t> syndrome_of(const mcontext_t& context) {
  const auto* const records = reinterpret_cast<const unsigned char*>(context.__reserved);
  std::size_t offset = 0;
  while (offset + sizeof(_aarch64_ctx) <= sizeof context.__reserved) {
    _aarch64_ctx head;
    std::memcpy(&head, records + offset, sizeof head);
    if (head.magic == ESR_MAGIC) {
      esr_context record;
      std::memcpy(&record, records + offset, sizeof record);
      return record.esr;
    }
    if (head.magic == 0 || head.size < sizeof head) return std::nullopt;
    offset += head.size;
  }
  return std::nullopt;
}

}  // namespace

std::uintptr_t SignalContext::faulting_instruction() const {
  return context_.uc_mcontext.pc;
}

void SignalContext::continue_at(std::uintptr_t address) {
  context_.uc_mcontext.pc = address;
  context_.uc_mcontext.pstate &= ~kBranchType;
}

void SignalContext::set_fault_word(std::uintptr_t word) {
  context_.uc_mcontext.regs[16] = word;  // TRAPLINE_FAULT_REGISTER
}

std::uintptr_t SignalContext::instruction_pointer() const {
  return context_.uc_mcontext.pc;
}

fault::StackPosition SignalContext::stack() const {
  constexpr int kFramePointer = 29;
  return {context_.uc_mcontext.sp, context_.uc_mcontext.regs[kFramePointer]};
}

std::uint32_t SignalContext::attempted() const {
  constexpr std::uint32_t kAnyAccess = TRAPLINE_GUARD_READ | TRAPLINE_GUARD_WRITE;
  const auto syndrome = syndrome_of(context_.uc_mcontext);
  if (!syndrome) return kAnyAccess | TRAPLINE_GUARD_EXECUTE;
  // The lowest bit of the class says from which exception level; a program's faults come from the
  // lower.
  const std::uint64_t exception = (*syndrome >> kClassShift) & ~std::uint64_t{1};
  if (exception == kInstructionAbort) return TRAPLINE_GUARD_EXECUTE;
  if (exception != kDataAbort || (*syndrome & kCacheMaintenance) != 0) return kAnyAccess;
  return (*syndrome & kWrite) != 0 ? TRAPLINE_GUARD_WRITE : TRAPLINE_GUARD_READ;
}

bool SignalContext::is_without_address() const {
  return false;
}

}  // namespace trapline::linux_port
