// Power of CPUs: the Power State Coordination Interface, by hypervisor calls (DEN 0022; QEMU's
// `virt` without EL2 and EL3 answers them).
#pragma once

#include <cstdint>

namespace trapline::armv7_virt::psci {

enum class Function : std::uint32_t {
  cpu_off = 0x8400'0002,
  cpu_on = 0x8400'0003,
  affinity_info = 0x8400'0004,
  system_off = 0x8400'0008,
};

enum class Result : std::int32_t {
  success = 0,
  not_supported = -1,
  invalid_parameters = -2,
  denied = -3,
  already_on = -4,
  on_pending = -5,
  internal_failure = -6,
};

enum class Power : std::uint8_t { on, off, on_pending, no_such_cpu };

// Starts the CPU at `entry`, in Supervisor mode with the MMU off, `context` in r0.
[[nodiscard]] Result cpu_on(std::uint32_t mpidr, std::uintptr_t entry, std::uintptr_t context);
// Turns off the calling CPU; returns only if it is refused.
[[nodiscard]] Result cpu_off();
[[nodiscard]] Power affinity_info(std::uint32_t mpidr);
[[noreturn]] void system_off();

// The next call of cpu_on or cpu_off is answered so, once, and not made: what firmware does now and
// then, for tests and the console.
void refuse_next(Function function, Result answer);
// The next call of cpu_on is made, and answered so if it succeeds: somebody else was first.
void replace_next_on(Result answer);
// AFFINITY_INFO says of CPUs that are off that they are on, until it is told not to.
void never_say_off(bool never);

}  // namespace trapline::armv7_virt::psci
