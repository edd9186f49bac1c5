#include "ports/armv7_virt/timer.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "isa/armv7/system_registers.h"

namespace trapline::armv7_virt::timer {
namespace {

constexpr std::uint32_t kEnable = 1;  // CNTV_CTL.ENABLE, and not IMASK

}  // namespace

Nanoseconds now() {
  const std::uint64_t frequency = isa::armv7::read_cntfrq();
  const std::uint64_t ticks = isa::armv7::read_cntvct();
  // Seconds apart from the rest: the product would overflow after minutes.
  return Nanoseconds{ticks / frequency * kNanosecondsPerSecond +
                     ticks % frequency * kNanosecondsPerSecond / frequency};
}

void interrupt_in(Nanoseconds delay) {
  constexpr std::uint64_t kLongest = std::numeric_limits<std::int32_t>::max();
  const std::uint64_t ticks =
      delay.value / 1000 * isa::armv7::read_cntfrq() / (kNanosecondsPerSecond / 1000);
  isa::armv7::write_cntv_tval(static_cast<std::uint32_t>(std::min(ticks, kLongest)));
  isa::armv7::write_cntv_ctl(kEnable);
  isa::armv7::isb();
}

void disable() {
  isa::armv7::write_cntv_ctl(0);
}

}  // namespace trapline::armv7_virt::timer
