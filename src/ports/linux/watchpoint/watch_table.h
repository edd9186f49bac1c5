// The watchpoints of this process, as the handler of SIGTRAP finds them: from the number that each
// event carries (perf_event_attr.sig_data) to the watch and its handler.
//
// A SIGTRAP can be delivered long after its watch was removed (it was pending, or blocked), so a
// number says of which of a place's watches it is, and a place is never freed. Who removes a watch
// first makes its numbers stale, then waits for the handlers that run: see remove().
//
// deliver() is async-signal-safe and waits for nobody; the rest is for threads.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "ports/linux/fault/perf_trap.h"
#include "ports/linux/fault/signal_context.h"
#include "trapline/linux/watchpoint.h"
#include "trapline/watch/plan.h"

namespace trapline::linux_port {

// What the handler needs of a watch. Borrowed: outlives it.
struct WatchDescription {
  Request request;
  Plan plan;
  WatchpointHandler handler;
  std::size_t callers = 0;
};

class WatchTable {
 public:
  // More watches than registers there cannot be.
  static constexpr std::size_t kPlaces = kMaxPlanSlots;
  using Place = std::size_t;

  constexpr WatchTable() = default;
  WatchTable(const WatchTable&) = delete;
  WatchTable& operator=(const WatchTable&) = delete;

  // From now on hits are told. nullopt: all places are taken.
  [[nodiscard]] std::optional<Place> add(const WatchDescription& watch);
  // What an event for that slot of the plan has to carry.
  [[nodiscard]] std::uint64_t number_of(Place place, std::size_t slot) const;
  // What the object holds now is what the next hit will call old.
  void remember_values(Place place);
  // When it returns, no handler of the watch runs or will. Its events must be closed or disabled,
  // or hits of them would come to nothing.
  void remove(Place place);
  // The same in a child of fork, which has none of the threads that may have been in a handler; so
  // it waits for nobody, and may be called in the handler that forked.
  void remove_after_fork(Place place);
  // First of all in a child of fork: threads that it does not have are in no handler.
  void forget_flights();

  // Whether the trap is of a watch of this table, be it one that was removed.
  [[nodiscard]] bool deliver(const PerfTrap& trap, const SignalContext& registers);

 private:
  // What a slot held after its last access, a handler's own included, the byte at the lowest
  // address lowest; nullopt: it could not be read then. Several threads may exchange at once: each
  // gets what another of them left.
  class LastValue {
   public:
    std::optional<std::uint64_t> exchange(std::optional<std::uint64_t> value) {
      // Pairs with the store of another thread, which follows its value.
      const bool was_known = is_known_.load(std::memory_order_acquire);
      std::uint64_t before = 0;
      if (value) before = value_.exchange(*value, std::memory_order_relaxed);
      is_known_.store(value.has_value(), std::memory_order_release);
      return was_known && value ? std::optional(before) : std::nullopt;
    }

   private:
    std::atomic<std::uint64_t> value_{0};
    std::atomic<bool> is_known_{false};
  };
  struct Entry {
    std::atomic<bool> is_taken{false};
    std::atomic<std::uint32_t> generation{0};  // odd: there is a watch
    // Threads in deliver(), above kForkShift how often they were forgotten: see forget_flights.
    std::atomic<std::uint64_t> in_flight{0};
    const WatchDescription* watch = nullptr;             // of the odd generation
    std::array<LastValue, kMaxPlanSlots> last_values{};  // by slot
  };
  struct Number {
    std::size_t place;
    std::size_t slot;
    std::uint32_t generation;
  };
  static constexpr unsigned kForkShift = 32;
  [[nodiscard]] static std::uint64_t begin_flight(Entry& entry);
  static void end_flight(Entry& entry, std::uint64_t flight);
  [[nodiscard]] static bool has_flights(const Entry& entry);

  [[nodiscard]] std::uint64_t own_mark() const;
  [[nodiscard]] std::optional<Number> decode(std::uint64_t number) const;
  static void tell(Entry& entry, std::size_t slot, const PerfTrap& trap,
                   const SignalContext& registers) noexcept;

  std::array<Entry, kPlaces> entries_{};
};

// This process's. Ready before any constructor runs, and still there after every destructor.
[[nodiscard]] WatchTable& watch_table();

// From now on SIGTRAPs go to its deliver(), and what is not its own to whoever had them. Errors: as
// install_fault_handler.
[[nodiscard]] std::expected<void, Error> take_traps();

}  // namespace trapline::linux_port
