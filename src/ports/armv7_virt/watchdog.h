// Ends a machine that is stuck, and says where.
//
// Every CPU that runs gets a timer interrupt now and then and looks at the deadline: the one that
// finds it passed stops the machine, and all say where they are. A CPU that has its interrupts
// masked is named by the others; if all have, the emulator's own limit is left (firmware/run).
#pragma once

#include <string_view>

#include "ports/armv7_virt/frame.h"
#include "trapline/base/units.h"

namespace trapline::armv7_virt::watchdog {

// `what` must end within `limit`; a literal, or else it outlives the watch. Replaces the one
// before.
void expect(std::string_view what, Nanoseconds limit);
void stop_expecting();

// Called on every tick of every CPU, in the interrupt; nullptr: nobody. To look after what hangs
// for less than the limit.
using Observer = void (*)();
void set_observer(Observer observer);

// For a CPU that starts or goes, and for its timer interrupt.
void start_ticking();
void stop_ticking();
void on_tick(const ExceptionFrame& frame);

}  // namespace trapline::armv7_virt::watchdog
