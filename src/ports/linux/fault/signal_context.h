// The interrupted program's registers, as a signal handler gets them, and what they tell of the
// fault.
//
// One body per architecture, in the folder of its name. Async-signal-safe; a value that refers to
// the handler's ucontext_t.
#pragma once

#include <ucontext.h>

#include <csignal>
#include <cstdint>

#include "trapline/fault/exception_table.h"
#include "trapline/fault/frame_walk.h"

namespace trapline::linux_port {

class SignalContext {
 public:
  SignalContext(int signal, ucontext_t& context) : signal_(signal), context_(context) {}

  // What FaultContext asks for.
  [[nodiscard]] std::uintptr_t faulting_instruction() const;
  void continue_at(std::uintptr_t address);
  void set_fault_word(std::uintptr_t word);

  // Where the program goes on, whatever the signal.
  [[nodiscard]] std::uintptr_t instruction_pointer() const;
  // For a walk of its frames. Armv7 in Thumb state: r7 is the frame pointer.
  [[nodiscard]] fault::StackPosition stack() const;
  [[nodiscard]] const ucontext_t* raw() const { return &context_; }

  // What the instruction may have tried (TRAPLINE_GUARD_...), for a SIGSEGV or SIGBUS: all that the
  // CPU and the kernel leave open.
  [[nodiscard]] std::uint32_t attempted() const;

  // Whether the CPU did not say at which address it was, though the kernel gives one (0).
  [[nodiscard]] bool is_without_address() const;

 private:
  int signal_;
  ucontext_t& context_;
};
static_assert(fault::FaultContext<SignalContext>);

}  // namespace trapline::linux_port
