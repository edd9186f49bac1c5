// The end of everything: all CPUs stop, each says where it was.
#pragma once

#include "ports/armv7_virt/frame.h"

namespace trapline::armv7_virt {

// The other CPUs write where they are and stop; those that do not answer are named. Then the
// emulator ends with this status. Any context.
[[noreturn]] void stop_machine(int status);
// The same, after a message about a broken rule and where.
[[noreturn]] void stop_for_bug(const char* message);

// For the interrupt handler of a CPU that is asked to stop.
[[noreturn]] void stop_this_cpu(const ExceptionFrame& frame);

// Exit statuses of a machine that did not end by itself.
inline constexpr int kStoppedByFault = 125;
inline constexpr int kStoppedByWatchdog = 124;  // as timeout(1)

}  // namespace trapline::armv7_virt
