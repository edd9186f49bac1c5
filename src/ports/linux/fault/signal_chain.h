// Calls the handler that was there before us as the kernel would have called it.
//
// Everything but SignalAction::of is async-signal-safe.
#pragma once

#include <ucontext.h>

#include <csignal>

namespace trapline::linux_port {

// Our flags for a handler in front of `previous`: what the program sees of a signal that is not
// ours has to stay as it was: which stack it is handled on, whether system calls go on after it.
[[nodiscard]] int flags_in_front_of(const struct sigaction& previous);

// Whether the signal has to go to `action`'s handler, to nobody, or ends the process.
enum class Fate : unsigned char { handle, ignore, end };
[[nodiscard]] Fate fate_of(const struct sigaction& action, bool is_synchronous);

// With the mask that the kernel would have set: the interrupted program's, what the handler asks
// for, and the signal itself unless SA_NODEFER. The caller's return from its own handler restores
// it.
void call_handler(const struct sigaction& action, int signal, siginfo_t* info, ucontext_t* context);

// The default action, when the caller returns from its handler: the signal arrives once more, with
// the same siginfo, at the instruction that was interrupted, and finds nobody. So the process ends
// by its own signal, and the core shows the place.
void end_by_signal(int signal, siginfo_t* info);

}  // namespace trapline::linux_port
