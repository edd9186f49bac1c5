// Errors as sentences for the console: what failed, why, and the next step.
#pragma once

#include <string_view>

#include "trapline/base/error.h"
#include "trapline/base/units.h"

namespace trapline::firmware {

// "cannot turn off CPU 2: ..." for what was to be done ("turn off") with a CPU.
void print_cpu_failure(std::string_view doing, CpuId cpu, const Error& error);
void print_watch_failure(const Error& error, std::size_t free_registers);

}  // namespace trapline::firmware
