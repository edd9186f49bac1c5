// Stacks to unwind, for the unwinder's test: compiled without frame pointers.
#pragma once

#include <cstddef>
#include <vector>

#include "trapline/base/address.h"
#include "trapline/port/user_registers.h"

namespace trapline::symbols {

struct Capture {
  std::size_t stack_bytes = 2048;  // how many are to be copied, if the stack has them
  UserRegisters registers;
  std::vector<std::byte> stack;
  std::vector<RemoteAddress> callers;  // as backtrace(3) has them
};

// Each fills `capture` from the innermost of some calls.
void capture_recursion(Capture& capture, int depth);
void capture_through_library(Capture& capture);
void capture_in_signal_handler(Capture& capture);
void capture_in_thread(Capture& capture);

}  // namespace trapline::symbols
