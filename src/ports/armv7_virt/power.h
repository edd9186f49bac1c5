// Turning CPUs on and off, over PSCI.
//
// From a CPU's own thread, one operation at a time: the state machine's write lock sees to that.
#pragma once

#include <expected>

#include "trapline/base/error.h"
#include "trapline/base/units.h"

namespace trapline::armv7_virt {

// The one the machine starts with; it runs the firmware's main thread.
[[nodiscard]] constexpr CpuId first_cpu() {
  return CpuId{0};
}

// Once, on the first CPU, before its interrupts are unmasked: which CPUs there are.
void find_cpus();

// Returns when the CPU serves its mailboxes; at once if it does already. Errors: timed_out (it may
// still arrive, or still be on its way off, and a later call finds it then); os_failure, with
// PSCI's answer as os_errno.
[[nodiscard]] std::expected<void, Error> turn_on(CpuId cpu);

enum class TurnedOff : std::uint8_t {
  confirmed,    // its stacks are free
  unconfirmed,  // it has left and serves nobody, but PSCI does not say within the time limit that
                // it is off: its stacks are not free, and turn_on asks again before it uses them
};
// Errors, after which it runs on: wrong_state (its thread is at work, the caller's own included),
// os_failure, with PSCI's answer as os_errno.
[[nodiscard]] std::expected<TurnedOff, Error> turn_off(CpuId cpu);
// Whether the CPU is one that turn_off left unconfirmed.
[[nodiscard]] bool is_off_unconfirmed(CpuId cpu);

// For tests: how long both wait for the CPU; returns how long it was before. Five seconds at first.
Nanoseconds set_power_limit(Nanoseconds limit);

}  // namespace trapline::armv7_virt
