// The clock that perf records are stamped with here.
#pragma once

#include "ports/linux/monotonic_clock.h"

namespace trapline::linux_port {

// The clock that breakpoint_attributes() asks for (clockid).
[[nodiscard]] inline Nanoseconds perf_clock_now() {
  return monotonic_now();
}

}  // namespace trapline::linux_port
