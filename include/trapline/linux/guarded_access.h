// Guarded access in a Linux process: what a program or a shared object includes.
//
// A program calls install_fault_handler() once; from then on a guarded access that faults gives its
// result, in every module that includes this header in at least one of its files. A module's
// entries are registered before its constructors run and unregistered after its destructors have,
// also by dlopen and dlclose, while other threads fault.
//
// Needs trapline::linux. docs/fault.md has the rules and a complete example.
#pragma once

#include <cstddef>
#include <expected>

#include "trapline/base/error.h"
#include "trapline/fault/guarded_access.h"

namespace trapline::fault {

// Handles SIGSEGV, SIGBUS, SIGILL and SIGTRAP, and hands what is not a guarded access to the
// handler that was there before, as the kernel would have: with its flags, mask and stack. A signal
// that nobody handles ends the process as it would have, at the same instruction.
//
// Any number of times, any thread; not in a signal handler. A call after somebody else has taken a
// signal takes it back, and hands on to them. Whoever takes one later and hands on to us needs
// nothing. It stays for the life of the process: whoever came later may have kept a pointer to it.
//
// Errors: limit_reached (a signal was taken from us and back too often), os_failure.
std::expected<void, Error> install_fault_handler();

// For a handler that does not hand on: true if the signal was a guarded access's, and the handler
// has to return now. `info` and `context` as the kernel gave them (SA_SIGINFO). Async-signal-safe.
[[nodiscard]] bool handle_guarded_fault(int signal, const void* info, void* context);

// How large an alternate signal stack (sigaltstack) has to be for the handler: the kernel's frame
// on this CPU (AT_MINSIGSTKSZ) and ours. What it hands on to needs its own in addition.
[[nodiscard]] std::size_t fault_stack_bytes();

}  // namespace trapline::fault

#include "trapline/linux/detail/own_entries.h"
