// The core's templates, made on the smallest ports there can be: they, too, may need nothing of an
// operating system, a heap or exceptions. Compiled by run; never run.
#include "trapline/hotplug/state_machine.h"
#include "trapline/watch/hw_breakpoint.h"

namespace trapline {
namespace smallest {

struct Word {
  std::uint32_t value = 0;
  [[nodiscard]] std::uint32_t load_relaxed() const { return value; }
  [[nodiscard]] std::uint32_t load_acquire() const { return value; }
  void store_relaxed(std::uint32_t to) { value = to; }
  void store_release(std::uint32_t to) { value = to; }
};

// One CPU, one context.
class SmallestPort {
 public:
  using Word = smallest::Word;
  struct Mutex {
    void lock() {}
    void unlock() {}
  };
  [[nodiscard]] ReaderSlot<Word>& reader_slot() { return slot_; }
  template <typename Visitor>
  void for_each_reader_slot(Visitor visit) {
    visit(slot_);
  }
  void asymmetric_fence_light() {}
  void asymmetric_fence_heavy() {}
  void wait_while_equal(Word& /*word*/, std::uint32_t /*value*/) {}
  void wake(Word& /*word*/) {}
  [[noreturn]] void bug(const char* /*message*/) { __builtin_trap(); }
  [[nodiscard]] bool is_present(CpuId cpu) const { return cpu.value == 0; }
  [[nodiscard]] std::expected<void, Error> start_cpu(CpuId /*cpu*/) { return {}; }
  [[nodiscard]] std::expected<void, Error> stop_cpu(CpuId /*cpu*/) { return {}; }
  void release_cpu(CpuId /*cpu*/) {}
  void run_on(CpuId /*cpu*/, Interrupts /*interrupts*/, CpuWork work) {
    work.run(work.argument, true);
  }
  [[nodiscard]] Nanoseconds now() const { return {}; }

 private:
  ReaderSlot<Word> slot_;
};

class SmallestDebug {
 public:
  [[nodiscard]] DebugArchitecture architecture() const {
    return armv7_debug_architecture(1, 1, ByteCount{4}, {Access::write});
  }
  [[nodiscard]] std::expected<void, Error> reset_ctrl_regs() { return {}; }
  [[nodiscard]] std::expected<void, Error> install(const DebugSlot& /*slot*/) { return {}; }
  void remove(const DebugSlot& /*slot*/) {}
};

}  // namespace smallest

using smallest::SmallestDebug;
using smallest::SmallestPort;

template class hotplug::OnlineCpus<SmallestPort>;
template class hotplug::StateMachine<SmallestPort>;
template class HwBreakpoint<SmallestDebug, SmallestPort>;

// The member templates, too.
hotplug::StateMachine<SmallestPort>::Outcome use_every_template(
    hotplug::StateMachine<SmallestPort>& machine) {
  if (const auto arrived = machine.cpu_arrived(CpuId{0}); !arrived) return arrived;
  if (const auto lost = machine.cpu_lost(CpuId{0}); !lost) return lost;
  return machine.for_each_state([](hotplug::StateNumber, std::string_view) {});
}

}  // namespace trapline
