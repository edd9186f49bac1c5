// What watching on every CPU (trapline/watch/hw_breakpoint.h) needs of a machine's debug registers.
//
// A port is an object that outlives whoever uses it. Every operation is mandatory and works on the
// registers of the CPU that calls: from a hotplug callback, on the CPU's hotplug thread. Two CPUs
// may call at once. Freestanding.
#pragma once

#include <concepts>
#include <expected>

#include "trapline/base/address.h"
#include "trapline/base/error.h"
#include "trapline/base/units.h"
#include "trapline/port/debug_architecture.h"

namespace trapline {

// A debug register, and what it is to hold.
struct DebugSlot {
  SlotIndex index;  // data and code registers are numbered apart
  RemoteAddress address;
  ByteCount length;
  Access access = Access::write;
};

template <typename P>
concept DebugPort = requires(P& port, const DebugSlot& slot) {
  // What can be planned with: the same for all CPUs, known before any of them was reset.
  { port.architecture() } -> std::same_as<DebugArchitecture>;
  // Brings the registers into a known state, with nothing installed and hits enabled: they may hold
  // anything after power-up. Errors: not_supported (an access faulted), permission_denied,
  // no_hardware (the registers do not keep what is written): the CPU cannot be watched.
  { port.reset_ctrl_regs() } -> std::same_as<std::expected<void, Error>>;
  // Errors: those of the architecture's encoding (bad_length, misaligned, range_wraps,
  // access_unsupported), no_hardware (the register does not keep it), in_fault_path (what the
  // port's fault handlers use themselves), not_steppable; nothing is installed then.
  { port.install(slot) } -> std::same_as<std::expected<void, Error>>;
  // The register catches nothing any more when this returns.
  port.remove(slot);
};

}  // namespace trapline
