// The two threads of each CPU, and waiting.
//
// Nothing spins: who waits sleeps until an interrupt. A hotplug thread runs as soon as its CPU
// takes interrupts; while it waits in the middle of its work, the CPU's own thread runs on.
#pragma once

#include <expected>

#include "isa/armv7/system_registers.h"
#include "ports/armv7_virt/cpu.h"
#include "trapline/base/error.h"

namespace trapline::armv7_virt {

// Makes the threads of a CPU that is off anew; that of its own is closed until it arrives.
void prepare_threads(Cpu& cpu);
// The calling CPU's own thread, from its start: runs what it is asked to, one after another.
[[noreturn]] void serve_thread_mail();
// At the end of an interrupt: lets the hotplug thread run if there is reason to.
void reschedule();

// Runs `work` on the CPU's hotplug thread and returns when it is done. From a CPU's own thread,
// IRQs unmasked; one at a time for each CPU.
void run_on_hotplug_thread(CpuId cpu, Interrupts interrupts, CpuWork work);

// Starts run(argument) on the thread of another CPU. Errors: cpu_not_present (it does not run),
// wrong_state (its thread is at work, or the CPU is being turned off).
[[nodiscard]] std::expected<void, Error> start_thread(CpuId cpu, void (*run)(void*),
                                                      void* argument);
// Returns when the CPU's thread has nothing to do.
void join_thread(CpuId cpu);
// Whether the thread of the CPU is at work. That of the first CPU always is: it runs the firmware.
[[nodiscard]] bool thread_is_at_work(CpuId cpu);

// For turning the CPU off: from now on start_thread fails. False: the thread is at work.
[[nodiscard]] bool close_thread(CpuId cpu);
void reopen_thread(CpuId cpu);

// Sleeps until an interrupt, with IRQs masked, so that none is missed between looking and sleeping.
void sleep_masked();
// Says that the caller breaks a rule of waiting, if it does: IRQs are masked, nothing would come.
void check_may_wait();

// Returns when condition() is false. It is asked again after every interrupt.
template <typename Condition>
void wait_while(Condition condition) {
  check_may_wait();
  while (true) {
    const isa::armv7::IrqMask masked;
    if (!condition()) return;
    sleep_masked();
  }
}

}  // namespace trapline::armv7_virt
