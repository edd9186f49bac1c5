// What becomes of a fault: a debug event goes to the debug unit; a guarded instruction continues at
// its fixup; an undefined one goes to the hooks; the rest is reported, and the machine stops.
#pragma once

#include <cstdint>
#include <string_view>

#include "ports/armv7_virt/frame.h"
#include "trapline/fault/exception_table.h"

namespace trapline::armv7_virt {

// Sorts the exception table in place and checks it: two entries for one instruction are a bug.
// Once, on the first CPU, before anything is guarded.
void prepare_exception_table();
[[nodiscard]] const fault::ExceptionTable& exception_table();

// Called after a fault was reported and before the machine stops. True: go on as the frame now
// says. A kernel would end the task that faulted; tests go on behind the instruction. In the fault
// handler, interrupts masked.
using LastResort = bool (*)(ExceptionFrame& frame);
// nullptr: there is none.
void set_last_resort(LastResort last_resort);

}  // namespace trapline::armv7_virt
