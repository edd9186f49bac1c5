// Things that go wrong on purpose, for the console: each on the thread of a CPU that is online.
#pragma once

#include "trapline/base/units.h"

namespace trapline::firmware {

// Runs run(argument) on the CPU's thread and returns when it is done; at once on the first CPU.
void run_on_thread(CpuId cpu, void (*run)(void*), void* argument);

// An undefined instruction: nobody deals with it, it is reported, and the console goes on (see
// keep_console_after_faults).
void undefined(CpuId cpu);
// The same with a hook in the way, which takes it from every CPU.
void undefined_with_hook(CpuId cpu);
// The same with a hook that executes one itself: a fault inside a fault handler stops the machine.
void undefined_with_faulting_hook(CpuId cpu);
// The same with a hook that takes its own: fault handlers that fault in a circle, which stops it
// too.
void undefined_in_a_circle(CpuId cpu);
// A data abort that finds no room on the stack of Abort mode: stops the machine.
void abort_without_stack(CpuId cpu);
// Hangs the CPU until the watchdog stops the machine; `masked`: with interrupts masked.
void hang(CpuId cpu, bool masked);

// An unhandled fault is reported, and its thread goes on behind the instruction: what a kernel
// would end the task for.
void keep_console_after_faults();

}  // namespace trapline::firmware
