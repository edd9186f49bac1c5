// The fake port: what port/hotplug_port.h asks for, on a FakeMachine. For tests.
//
// Contexts are threads the test has (one, unless it asks for more) and one hotplug thread per CPU.
// Without a scheduler (scheduler.h) run_on calls the work at once, as the CPU's context, and
// waiting for something that only another context could do is a bug.
#pragma once

#include <expected>
#include <vector>

#include "ports/fake/fake_machine.h"
#include "ports/fake/scheduler.h"
#include "ports/fake/shared_memory.h"
#include "trapline/base/error.h"
#include "trapline/base/units.h"
#include "trapline/port/hotplug_port.h"

namespace trapline::fake {

class FakePort {
 public:
  using Word = fake::Word;
  using Mutex = fake::Mutex;

  explicit FakePort(FakeMachine& machine, std::size_t thread_count = 1);
  FakePort(const FakePort&) = delete;
  FakePort& operator=(const FakePort&) = delete;

  // --- ReadLockPort ---
  [[nodiscard]] ReaderSlot<Word>& reader_slot() { return current().slot; }
  template <typename Visitor>
  void for_each_reader_slot(Visitor visit) {
    for (Context& thread : threads_) visit(thread.slot);
    for (Cpu& cpu : cpus_) visit(cpu.hotplug_thread.slot);
  }
  void asymmetric_fence_light() {}
  void asymmetric_fence_heavy();
  void wait_while_equal(Word& word, std::uint32_t value) { word.wait_while_equal(value); }
  void wake(Word& word) { word.wake(); }
  [[noreturn]] void bug(const char* message) { fail(message); }

  // --- HotplugPort ---
  [[nodiscard]] bool is_present(CpuId cpu) const { return machine_.is_present(cpu); }
  [[nodiscard]] std::expected<void, Error> start_cpu(CpuId cpu);
  [[nodiscard]] std::expected<void, Error> stop_cpu(CpuId cpu);
  void release_cpu(CpuId cpu);
  void run_on(CpuId cpu, Interrupts interrupts, CpuWork work);
  [[nodiscard]] Nanoseconds now() const { return machine_.now(); }

  // --- for tests ---
  // The context that calls.
  [[nodiscard]] Context& current() {
    Scheduler* scheduler = Scheduler::active();
    return scheduler != nullptr ? scheduler->current() : *inline_current_;
  }
  [[nodiscard]] Context& thread(std::size_t index) { return threads_[index]; }
  // Calls as another of the test's threads. Without a scheduler only.
  template <typename Function>
  void as_thread(std::size_t index, Function function) {
    Context* const caller = inline_current_;
    inline_current_ = &threads_[index];
    function();
    inline_current_ = caller;
  }
  // Whether run_on serves the CPU.
  [[nodiscard]] bool serves(CpuId cpu) const { return cpus_[cpu.value].is_served; }

 private:
  struct Cpu {
    Context hotplug_thread;
    bool is_served = false;
    bool is_busy = false;
  };
  void set_current(Context& context);
  void announce(const Operation& operation);

  FakeMachine& machine_;
  std::vector<Context> threads_;
  std::vector<Cpu> cpus_;
  Context* inline_current_;
};

static_assert(HotplugPort<FakePort>);

}  // namespace trapline::fake
