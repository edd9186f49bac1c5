// A traced thread's debug registers, as the kernel numbers them for PTRACE_GETHBPREGS and
// PTRACE_SETHBPREGS: pairs of an address and a control word; watchpoints have negative numbers from
// -1 down, breakpoints positive ones from 1 up, and 0 tells what there is.
//
// Source: arch/arm/kernel/ptrace.c; the same in arch/arm64/kernel/ptrace.c (compat_ptrace_hbp_get).
// Calls from the tracing thread, the thread in a ptrace stop. Errors carry the errno.
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "trapline/base/error.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

struct DebugResources {
  std::uint8_t breakpoints = 0;  // without the one that the kernel keeps for itself
  std::uint8_t watchpoints = 0;
  std::uint8_t longest = 0;  // bytes of one watchpoint
};
// Found out once, with a child that is traced. Where the kernel does not tell, none.
[[nodiscard]] DebugResources debug_resources();

struct DebugPair {
  bool code = false;  // a breakpoint
  std::size_t index = 0;

  friend constexpr bool operator==(const DebugPair&, const DebugPair&) = default;
};

// Of a breakpoint at one instruction in user mode.
[[nodiscard]] std::uint32_t breakpoint_control(bool is_thumb);

// `control` selects bytes from the address on, wherever that lies in its word. Errors:
// no_free_slot, bad_length (of what the kernel takes), target_gone, os_failure; then the pair may
// hold anything.
[[nodiscard]] std::expected<void, Error> put_pair(ThreadId tid, const DebugPair& pair,
                                                  std::uint32_t address, std::uint32_t control);
// One that was never set is not created by this. Errors: target_gone, os_failure.
[[nodiscard]] std::expected<void, Error> disable_pair(ThreadId tid, const DebugPair& pair);

// Whose signal it is; nullopt: no debug register's.
[[nodiscard]] std::optional<DebugPair> fired_pair(const siginfo_t& info);

// What an errno of a ptrace call means here.
[[nodiscard]] Error error_of_pair(int error);

}  // namespace trapline::linux_port
