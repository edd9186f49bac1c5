// The architecture's generic timer: the virtual counter and its timer. Source: Arm ARM B8.1.
#pragma once

#include "trapline/base/units.h"

namespace trapline::armv7_virt::timer {

// Since the counter started; the same on all CPUs. Any context.
[[nodiscard]] Nanoseconds now();
// The calling CPU gets its timer interrupt once, after this long.
void interrupt_in(Nanoseconds delay);
void disable();

}  // namespace trapline::armv7_virt::timer
