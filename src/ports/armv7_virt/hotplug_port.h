// The bare-metal port of the hotplug state machine: what port/hotplug_port.h asks for, by PSCI,
// interrupts between CPUs, and the hotplug thread of each CPU.
//
// Contexts are the two threads of each CPU (threads.h). One object for the machine; it has no state
// of its own.
#pragma once

#include <atomic>
#include <expected>

#include "isa/armv7/system_registers.h"
#include "ports/armv7_virt/cpu.h"
#include "ports/armv7_virt/power.h"
#include "ports/armv7_virt/shared_word.h"
#include "ports/armv7_virt/stop.h"
#include "ports/armv7_virt/threads.h"
#include "ports/armv7_virt/timer.h"
#include "trapline/base/error.h"
#include "trapline/base/units.h"
#include "trapline/port/hotplug_port.h"

namespace trapline::armv7_virt {

// Sleeps while it is taken. From threads.
class SleepingMutex {
 public:
  void lock() {
    while (is_taken_.exchange(true, std::memory_order_acquire))
      wait_while([this] { return is_taken_.load(std::memory_order_relaxed); });
  }
  void unlock() {
    is_taken_.store(false, std::memory_order_release);
    // Who waits is not known: an interrupt for each CPU is cheaper than a list of them.
    wake_all();
  }

 private:
  std::atomic<bool> is_taken_{false};
};

class Port {
 public:
  using Word = SharedWord;
  using Mutex = SleepingMutex;

  Port() = default;
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  // --- ReadLockPort ---
  [[nodiscard]] ReaderSlot<Word>& reader_slot() { return this_cpu().current->reader_slot; }
  template <typename Visitor>
  void for_each_reader_slot(Visitor visit) {
    for (std::uint32_t id = 0; id < kMaxBoardCpus; ++id) {
      visit(cpu_at(CpuId{id}).thread.reader_slot);
      visit(cpu_at(CpuId{id}).hotplug.reader_slot);
    }
  }
  // No system call to interrupt the others by: both sides have a real one.
  void asymmetric_fence_light() { isa::armv7::dmb_ish(); }
  void asymmetric_fence_heavy() { isa::armv7::dmb_ish(); }
  void wait_while_equal(Word& word, std::uint32_t value) {
    wait_while([&] { return word.load_acquire() == value; });
  }
  void wake(Word& /*whose waiters are not known*/) { wake_all(); }
  [[noreturn]] void bug(const char* message) { stop_for_bug(message); }

  // --- HotplugPort ---
  [[nodiscard]] bool is_present(CpuId cpu) const {
    return cpu.value < kMaxBoardCpus && cpu_at(cpu).is_present;
  }
  // Errors: timed_out; os_failure with PSCI's answer as os_errno.
  [[nodiscard]] std::expected<void, Error> start_cpu(CpuId cpu) { return turn_on(cpu); }
  // Errors: wrong_state (the CPU's own thread is at work, as that of the first CPU always is);
  // os_failure with PSCI's answer. A CPU that has left is gone for the state machine, whether PSCI
  // confirms it or not (is_off_unconfirmed in power.h): it serves nothing any more.
  [[nodiscard]] std::expected<void, Error> stop_cpu(CpuId cpu) {
    if (const auto off = turn_off(cpu); !off) return std::unexpected(off.error());
    return {};
  }
  // It runs on, asleep.
  void release_cpu(CpuId /*cpu*/) {}
  void run_on(CpuId cpu, Interrupts interrupts, CpuWork work) {
    run_on_hotplug_thread(cpu, interrupts, work);
  }
  [[nodiscard]] Nanoseconds now() const { return timer::now(); }
};
static_assert(HotplugPort<Port>);

}  // namespace trapline::armv7_virt
