// The events of a watchpoint: one for each thread and slot, inherited by threads to come.
//
// A thread that turns up while events are being opened may have inherited from its creator or not.
// Nobody can have before the first event is open: so if somebody turned up, all are closed and
// opened again, a few times. In a process that keeps starting threads the rest are opened where
// there is room: a thread then has some twice, which costs it registers until it ends; Linux tells
// a hit of both once (one SIGTRAP is kept).
//
// Whom a clone(2) of another thread is just making has copied its creator's events already and is
// not in /proc yet. So where there are other threads, the list is read on a moment after it first
// showed nobody new (AttachPace). A thread is missed only if its clone was preempted for longer.
//
// Threads; not signal handlers.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <vector>

#include "ports/linux/perf_event.h"
#include "trapline/base/error.h"
#include "trapline/base/units.h"
#include "trapline/watch/plan.h"

namespace trapline::linux_port {

class ThreadEvents {
 public:
  // Every thread of this process, enabled. `number_of(slot)` is what hits of a slot carry. All or
  // nothing. Errors: as Watchpoint::create.
  using NumberOf = std::function<std::uint64_t(std::size_t slot)>;
  [[nodiscard]] static std::expected<ThreadEvents, Error> open(const Plan& plan,
                                                               const NumberOf& number_of);

  // Ends all hits, here and in every thread that inherited. Closing alone would not, where a child
  // of fork has copies of the descriptors. Not in such a child: it would end the parent's.
  //
  // The registers are free once the last copy is closed: Linux counts a task's events whether they
  // are enabled or not (kernel/events/hw_breakpoint.c, release_bp_slot).
  void disable() const;
  [[nodiscard]] std::uint64_t count() const;

 private:
  explicit ThreadEvents(std::vector<PerfEvent> events) : events_(std::move(events)) {}

  std::vector<PerfEvent> events_;
};

}  // namespace trapline::linux_port
