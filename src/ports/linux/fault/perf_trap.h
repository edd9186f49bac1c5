// SIGTRAP from a perf event with `sigtrap` (Linux 5.13), and whom it belongs to.
//
// Everything but set_perf_trap_owner is async-signal-safe.
#pragma once

#include <csignal>
#include <cstdint>
#include <optional>

#include "ports/linux/fault/signal_context.h"

namespace trapline::linux_port {

// include/uapi/asm-generic/siginfo.h: TRAP_PERF; not in every C library.
inline constexpr int kPerfTrapCode = 6;

struct PerfTrap {
  std::uint64_t data = 0;  // the event's sig_data, as far as a long holds it
  // SIGTRAP was blocked when the event fired, and is delivered only now (TRAP_PERF_FLAG_ASYNC,
  // Linux 5.18): the registers are those of now.
  bool is_late = false;
};

[[nodiscard]] std::optional<PerfTrap> perf_trap_of(int signal, const siginfo_t& info);

// Who is asked whether a trap is its own, and has handled it then. Stays for the life of the
// process.
using PerfTrapOwner = bool (*)(const PerfTrap& trap, const SignalContext& registers);
void set_perf_trap_owner(PerfTrapOwner owner);

// False: it is not ours, or nobody has said so.
[[nodiscard]] bool claim_perf_trap(const PerfTrap& trap, const SignalContext& registers);

}  // namespace trapline::linux_port
