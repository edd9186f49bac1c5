// The debug architecture of the machine this was built for, as Linux offers it. One body per
// architecture, in its folder.
#pragma once

#include "trapline/port/debug_architecture.h"

namespace trapline::linux_port {

// What the architecture has, whether or not somebody else holds some of it at the moment: see
// capability_probe.h for what can be had now.
[[nodiscard]] DebugArchitecture native_debug_architecture();

}  // namespace trapline::linux_port
