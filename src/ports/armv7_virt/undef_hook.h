// Undefined-instruction hooks: handlers for instructions that are to be emulated.
//
// A hook is for the whole machine: while it is registered it takes that instruction on every CPU,
// also where somebody else's bug executes it. To survive an instruction that one piece of code
// executes, give it an exception-table entry (trapline/fault/exception_entry.h) instead, which is
// asked first.
#pragma once

#include <atomic>
#include <cstdint>

#include "ports/armv7_virt/frame.h"

namespace trapline::armv7_virt {

// True: dealt with, the frame says where to go on (it has to be moved on). False: the next hook is
// asked. In the handler of the fault, interrupts masked.
using UndefHandler = bool (*)(ExceptionFrame& frame, std::uint32_t instruction);

// Matches where (instruction & instr_mask) == instr_val and (cpsr & cpsr_mask) == cpsr_val. An
// instruction is the word (ARM), the halfword (Thumb, 16 bits), or the first halfword above the
// second (Thumb, 32 bits); bit 5 of the cpsr tells Thumb. Linked by the list only.
class UndefHook {
 public:
  constexpr UndefHook(std::uint32_t instr_mask, std::uint32_t instr_val, std::uint32_t cpsr_mask,
                      std::uint32_t cpsr_val, UndefHandler handler)
      : instr_mask_(instr_mask),
        instr_val_(instr_val),
        cpsr_mask_(cpsr_mask),
        cpsr_val_(cpsr_val),
        handler_(handler) {}
  UndefHook(const UndefHook&) = delete;
  UndefHook& operator=(const UndefHook&) = delete;

 private:
  friend class UndefHooks;
  [[nodiscard]] bool matches(std::uint32_t instruction, std::uint32_t cpsr) const {
    return (instruction & instr_mask_) == instr_val_ && (cpsr & cpsr_mask_) == cpsr_val_;
  }

  std::uint32_t instr_mask_;
  std::uint32_t instr_val_;
  std::uint32_t cpsr_mask_;
  std::uint32_t cpsr_val_;
  UndefHandler handler_;
  std::atomic<UndefHook*> next_{nullptr};
};

// The hook registered last is asked first. It stays where it is until it is unregistered. A hook
// that is registered already stays as it is.
void register_undef_hook(UndefHook& hook);
// Returns when no CPU is in a hook's handler any more. Not from a handler. One that is not
// registered: no effect.
void unregister_undef_hook(UndefHook& hook);

// For the fault handler: whether a hook dealt with it.
[[nodiscard]] bool call_undef_hooks(ExceptionFrame& frame);

}  // namespace trapline::armv7_virt
