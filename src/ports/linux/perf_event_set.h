// The breakpoint events of a watch: one per thread, CPU and slot, all writing into their CPU's
// ring.
//
// Events stay open when their thread ends, since what other threads inherited from them goes with
// them. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <utility>
#include <vector>

#include "ports/linux/perf_cpu_rings.h"
#include "ports/linux/perf_event.h"
#include "ports/linux/perf_twin_filter.h"
#include "trapline/base/units.h"
#include "trapline/watch/plan.h"

namespace trapline::linux_port {

class PerfEventSet {
 public:
  // Events are made for the CPUs that have a ring.
  explicit PerfEventSet(PerfCpuRings rings) : rings_(std::move(rings)) {}

  // What every event opened from now on asks for: one entry per slot of the plan.
  void set_attributes(std::vector<perf_event_attr> attributes) {
    attributes_ = std::move(attributes);
  }

  enum class Opened : std::uint8_t {
    all,
    thread_ended,     // before or in between
    doubles_refused,  // late threads only: what is watched already had no room a second time
  };
  // Opens and enables all events of a thread. A thread is late if a thread that was watched already
  // may have created it: then its events are suspects to `filter`.
  [[nodiscard]] std::expected<Opened, SlotOpenError> add_thread(ThreadId tid, bool late,
                                                                PerfTwinFilter& filter);

  // Closes one event, and with it all that was inherited from it.
  void close(std::uint64_t id);
  // Makes one event, and all that was inherited from it, watch again (PerfEvent::renew).
  void renew(std::uint64_t id);
  // Ends all counting, here and in every thread that inherited; the latest events first.
  void disable();
  // How many hits there were, as far as counted by events for which `counts(id)` holds.
  template <typename Predicate>
  [[nodiscard]] PerfHitTotal total(Predicate counts) const;

  [[nodiscard]] PerfCpuRings& rings() { return rings_; }
  // Every thread that was ever added has ended or executed another program, and so has everybody
  // that inherited.
  [[nodiscard]] bool is_hung_up() const;

 private:
  [[nodiscard]] std::expected<void, int> open_one(ThreadId tid, std::size_t cpu, std::size_t slot,
                                                  bool late, PerfTwinFilter& filter);

  PerfCpuRings rings_;
  std::vector<perf_event_attr> attributes_;
  struct Entry {
    PerfEvent event;
    std::size_t slot = 0;
  };
  std::vector<Entry> events_;  // by ascending id
};

template <typename Predicate>
PerfHitTotal PerfEventSet::total(Predicate counts) const {
  PerfHitTotal total;
  for (const auto& [event, slot] : events_) {
    if (!counts(event.id())) continue;
    total.add(event.count());
  }
  return total;
}

}  // namespace trapline::linux_port
