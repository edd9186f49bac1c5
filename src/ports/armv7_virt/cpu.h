// What there is once for each CPU: its two threads, what they are asked to do, its power.
//
// A CPU has a thread, which runs what the firmware wants to run there, and a hotplug thread, which
// preempts it whenever the hotplug state machine has work. threads.h runs them, power.h starts and
// stops them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "isa/armv7/system_registers.h"
#include "ports/armv7_virt/gic.h"
#include "ports/armv7_virt/memory_map.h"
#include "ports/armv7_virt/offsets.h"
#include "ports/armv7_virt/psci.h"
#include "ports/armv7_virt/shared_word.h"
#include "trapline/base/units.h"
#include "trapline/port/hotplug_port.h"

namespace trapline::armv7_virt {

struct Thread {
  std::uint32_t saved_sp = 0;  // while it does not run
  bool waits = false;          // of a hotplug thread: in the middle of work, for something
  ReaderSlot<SharedWord> reader_slot;
};

// Work for a hotplug thread, and who waits for it.
struct HotplugMailbox {
  enum : std::uint32_t { kEmpty, kPosted };
  std::atomic<std::uint32_t> state{kEmpty};
  CpuWork work;
  Interrupts interrupts = Interrupts::enabled;
  CpuId sender;
};

// Work for a CPU's own thread. Whoever wants to change it claims it first, from kIdle: who has
// work, or who turns the CPU off.
struct ThreadMailbox {
  enum : std::uint32_t { kIdle, kClaimed, kPosted, kClosed };
  std::atomic<std::uint32_t> state{kIdle};
  void (*run)(void* argument) = nullptr;
  void* argument = nullptr;
  CpuId sender;
};

struct Cpu {
  std::uintptr_t task_stack_top = 0;       // offsets.h
  std::uintptr_t emergency_stack_top = 0;  // offsets.h
  CpuId id;
  std::uint32_t mpidr = 0;
  gic::CpuMask interface = 0;  // known once it has started

  Thread* current = nullptr;
  Thread thread;
  Thread hotplug;
  HotplugMailbox hotplug_mail;
  ThreadMailbox thread_mail;

  std::atomic<bool> is_present{false};
  std::atomic<bool> has_arrived{false};  // it runs, and serves its mailboxes
  std::atomic<bool> is_leaving{false};   // it is about to turn itself off, or has, for all we know
  psci::Result off_refusal{};            // why it was not turned off, if it was refused
  std::uint32_t faults = 0;              // fault handlers it is in; only itself looks
};
static_assert(offsetof(Cpu, task_stack_top) == CPU_TASK_STACK_TOP);
static_assert(offsetof(Cpu, emergency_stack_top) == CPU_EMERGENCY_STACK_TOP);

// A CPU that this board has room for.
[[nodiscard]] Cpu& cpu_at(CpuId cpu);
// The one that asks. A thread that may be moved would need IRQs masked; threads stay where they
// are.
[[nodiscard]] inline Cpu& this_cpu() {
  return *reinterpret_cast<Cpu*>(isa::armv7::read_tpidrprw());
}
// False until this_cpu() can be used.
[[nodiscard]] inline bool has_this_cpu() {
  return isa::armv7::read_tpidrprw() != 0;
}

// The interfaces of all CPUs that run.
[[nodiscard]] gic::CpuMask running_interfaces();

// Whoever waits for something that was stored before looks again.
inline void wake_all() {
  gic::send(gic::Sgi::wake, running_interfaces());
}
inline void wake(CpuId cpu) {
  gic::send(gic::Sgi::wake, cpu_at(cpu).interface);
}

}  // namespace trapline::armv7_virt
