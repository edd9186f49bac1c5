// For tests: the registers that getcontext(3) saved. One body for each architecture.
#pragma once

#include <ucontext.h>

#include "trapline/port/user_registers.h"

namespace trapline::symbols {

// Those that unwinding needs. What getcontext(3) does not save (it is a call, which may change
// them) is zero.
[[nodiscard]] UserRegisters registers_of(const ucontext_t& context);

}  // namespace trapline::symbols
