// Which signals tell of a fault, and of what kind. Async-signal-safe.
#pragma once

#include <array>
#include <csignal>
#include <optional>

#include "ports/linux/fault/signal_context.h"
#include "trapline/fault/exception_table.h"

namespace trapline::linux_port {

inline constexpr std::array kFaultSignals{SIGSEGV, SIGBUS, SIGILL, SIGTRAP};

// Whether the instruction that was interrupted has caused the signal, and repeats it. Not so: one
// that somebody sent, what the hardware reports late (memory errors, asynchronous tag checks), and
// what a perf event tells of an instruction that is done.
[[nodiscard]] bool is_synchronous(int signal, const siginfo_t& info);

// nullopt: not a fault that an entry can be for.
[[nodiscard]] std::optional<fault::FaultEvent> classify_fault(int signal, const siginfo_t& info,
                                                              const SignalContext& context);

}  // namespace trapline::linux_port
