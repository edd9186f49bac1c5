// The clock of everything that is timed here: hits, deadlines, intervals.
#pragma once

#include <cstdint>
#include <ctime>

#include "trapline/base/units.h"

namespace trapline::linux_port {

// CLOCK_MONOTONIC. From any context: clock_gettime(2) is signal-safe.
[[nodiscard]] inline Nanoseconds monotonic_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return Nanoseconds{static_cast<std::uint64_t>(now.tv_sec) * kNanosecondsPerSecond +
                     static_cast<std::uint64_t>(now.tv_nsec)};
}

}  // namespace trapline::linux_port
