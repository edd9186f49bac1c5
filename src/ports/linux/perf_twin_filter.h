// Which of a thread's events watch the same slot a second time.
//
// A thread that is found late, after its creator may already have been watched, gets events of its
// own, because nobody can tell whether it inherited its creator's. If it did, every access traps
// two events: two samples, one hit, and a debug register wasted. Such a pair shows itself in a
// CPU's ring: two samples of one thread, side by side, from two events for the same slot.
//
// Why a single pair settles the matter for good: events are inherited from the thread that creates,
// all that it has at that moment. Let some thread have both an older event A and a newer B of one
// slot and CPU. It got A by inheritance, along the same line of threads by which it got B or by
// which B's own thread got A; so everybody who has B has A. B is redundant, whole, with all that
// was inherited from it. In the same way one sample of B without an A beside it proves that B is
// needed.
//
// Pure; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "trapline/base/units.h"

namespace trapline::linux_port {

class PerfTwinFilter {
 public:
  // Ids ascend in the order in which events were opened. `place` stands for a slot on a CPU. A
  // suspect is an event opened on a thread that may have inherited another for the same place.
  void add(std::uint64_t id, std::uint32_t place, bool suspect);

  // Whether samples have to be judged at all.
  [[nodiscard]] bool has_suspects() const { return suspects_ != 0; }
  [[nodiscard]] bool is_suspect(std::uint64_t id) const;
  // The event was found redundant: its samples and its count are doubles.
  [[nodiscard]] bool is_redundant(std::uint64_t id) const;

  struct Trap {
    std::uint64_t id = 0;
    ThreadId tid;
  };
  // Judges one sample of a suspect by the samples next to it in its CPU's ring, on both sides. A
  // trap leaves at most twice as many samples as there are slots, so neighbours beyond that do not
  // matter. `complete`: no record was lost among them, and the ring went on after them. Returns
  // whether the sample is a double.
  [[nodiscard]] bool is_double(const Trap& trap, std::span<const Trap> neighbours, bool complete);

  // The ids found redundant since the last call: close those events.
  [[nodiscard]] std::vector<std::uint64_t> take_redundant();

 private:
  enum class State : std::uint8_t { needed, suspect, redundant };
  struct Event {
    std::uint32_t place = 0;
    State state = State::needed;
  };

  void settle(Event& event, State state);

  std::unordered_map<std::uint64_t, Event> events_;
  std::vector<std::uint64_t> newly_redundant_;
  std::size_t suspects_ = 0;
};

}  // namespace trapline::linux_port
