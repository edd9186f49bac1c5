// The debug architecture of the machine this was built for, as Linux offers it. One body per
// architecture, in its folder.
#pragma once

#include <cstdint>

#include "trapline/port/debug_architecture.h"

namespace trapline::linux_port {

// What the architecture has, whether or not somebody else holds some of it at the moment: see
// capability_probe.h for what can be had now.
[[nodiscard]] DebugArchitecture native_debug_architecture();

// Whether programs have atomics that are loops of an exclusive load and an exclusive store. On a
// watched word such a loop never ends: every trap clears the CPU's monitor, and the store fails
// again (Arm ARM, B2.9.5 and D1.3.1). Unless whoever is told of the trap takes the program through
// the loop (PtraceStep::ends_exclusive_loops).
enum class ExclusiveLoops : std::uint8_t {
  none,       // the architecture has no such instructions
  avoidable,  // this CPU has atomics of one instruction as well, for programs that use them
  all,        // this CPU has no others
};
[[nodiscard]] ExclusiveLoops native_exclusive_loops();

}  // namespace trapline::linux_port
