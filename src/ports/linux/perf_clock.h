// The clock that perf records are stamped with here.
#pragma once

#include <cstdint>
#include <ctime>

#include "trapline/base/units.h"

namespace trapline::linux_port {

// CLOCK_MONOTONIC.
[[nodiscard]] inline Nanoseconds perf_clock_now() {
  constexpr std::uint64_t kPerSecond = 1'000'000'000;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return Nanoseconds{static_cast<std::uint64_t>(now.tv_sec) * kPerSecond +
                     static_cast<std::uint64_t>(now.tv_nsec)};
}

}  // namespace trapline::linux_port
