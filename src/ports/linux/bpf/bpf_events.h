// The breakpoint events of a watch whose hits BPF programs handle: one per thread and slot, on any
// CPU, inherited by the threads that start later.
//
// An event has no program until it is set, and a thread that starts in between inherits an event
// without one. So whoever has what is asked of the kernel's own list of each thread's events
// (BpfWatchPrograms::list_threads), and an event that was inherited without a program is closed and
// opened again. What a thread has inherited is settled before anybody can see it.
//
// Events stay open when their thread ends, since what other threads inherited from them goes with
// them. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/failure.h"
#include "ports/linux/bpf/bpf_watch_programs.h"
#include "ports/linux/perf_event.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

class BpfEvents {
 public:
  // `explain` makes the sentence for an event that was refused. `programs` is borrowed.
  using Explain = std::function<Failure(ThreadId, const SlotOpenError&)>;
  BpfEvents(const BpfWatchPrograms& programs, std::vector<perf_event_attr> attributes,
            Explain explain)
      : programs_(programs), attributes_(std::move(attributes)), explain_(std::move(explain)) {}

  // Watches one thread that was not watched. no_such_process: it has ended.
  [[nodiscard]] Result<void> watch_thread(ThreadId tid);

  struct Watched {
    std::size_t threads = 0;
    bool was_incomplete = false;  // some were not, or not all of their slots
    std::vector<std::string> notes;
  };
  // Sees to it that every thread of every process that is followed is watched, once. Where some
  // have inherited events without a program, the threads that they came from, and those that
  // inherited from them, are unwatched for some microseconds. No threads: all have ended.
  // After an error some are watched and some not: drop the events, or look again.
  [[nodiscard]] Result<Watched> watch_all();

  // Whether a thread that was born with these slots needs a look.
  [[nodiscard]] bool is_incomplete(std::uint32_t watched_slots) const {
    return watched_slots != all_slots();
  }

  void disable();
  // How many hits the kernel counted.
  [[nodiscard]] PerfHitTotal total() const;

 private:
  struct Event {
    ThreadId tid;
    PerfEvent event;
  };

  [[nodiscard]] std::uint32_t all_slots() const { return (1U << attributes_.size()) - 1; }
  // Opens what a thread lacks. False: the thread has ended.
  [[nodiscard]] std::expected<bool, SlotOpenError> open_missing(ThreadId tid,
                                                                std::uint32_t watched_slots);
  [[nodiscard]] std::expected<void, int> open_one(ThreadId tid, std::size_t slot);
  // Opens what the threads lack. How many lacked something; whether they do still, another look
  // tells.
  [[nodiscard]] Result<std::size_t> watch_missing(std::span<const trapline_thread_record> threads);
  // Closes the events that some inherited without a program; how many threads did.
  std::size_t close_inherited_too_early(std::span<const trapline_thread_record> threads);
  void close_events_of(ThreadId tid);

  const BpfWatchPrograms& programs_;
  std::vector<perf_event_attr> attributes_;  // by slot
  Explain explain_;
  std::vector<Event> events_;
  PerfHitTotal closed_;  // of events that are closed
};

}  // namespace trapline::linux_port
