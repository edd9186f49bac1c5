// What a fault that nobody dealt with says on the console. Any context; memory is read by guarded
// loads, so that a broken stack ends the report, not the machine.
#pragma once

#include <cstdint>
#include <string_view>

#include "ports/armv7_virt/frame.h"

namespace trapline::armv7_virt {

// Everything: `what` and `why` in the first line, then registers, stack and callers.
void print_fault(const ExceptionFrame& frame, std::string_view what, std::string_view why);
// Two lines, and no memory is looked at: when the fault is in a fault handler.
void print_nested_fault(const ExceptionFrame& frame, std::string_view what);
// Which CPU, where, and its callers.
void print_place(const ExceptionFrame& frame);
// The return addresses along the frame pointers from this one on.
void print_callers(std::uint32_t frame_pointer);

}  // namespace trapline::armv7_virt
