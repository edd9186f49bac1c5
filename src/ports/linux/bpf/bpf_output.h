// What comes out of the BPF programs of a watch, on its way to the sink: hits, what the programs
// counted instead of writing it, and what was lost. One thread.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <span>

#include "ports/linux/bpf/bpf_record_queue.h"
#include "ports/linux/bpf/bpf_records.h"
#include "ports/linux/bpf/bpf_tallies.h"
#include "ports/linux/bpf/bpf_watch_programs.h"
#include "ports/linux/collector.h"
#include "ports/linux/perf_event.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

class BpfOutput {
 public:
  // As much as is read before the caller may look at its clock again.
  static constexpr std::size_t kRecordsPerDrain = 1024;
  static constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

  explicit BpfOutput(std::unique_ptr<BpfWatchPrograms> programs);

  [[nodiscard]] BpfWatchPrograms& programs() { return *programs_; }
  [[nodiscard]] const BpfWatchPrograms& programs() const { return *programs_; }

  // Delivers what was made at or before `until`, oldest first. `build(hit)` makes the sample of a
  // BpfHit, an optional; `handle(task)` gets what is told of tasks. True if it stopped at `limit`.
  template <typename Build, typename Handle>
  bool deliver(SampleSink& sink, Nanoseconds until, std::size_t limit, Build build, Handle handle);

  // Before the hits: the one that ends the watch may be among them.
  void tell_rejections(SampleSink& sink);
  // After the hits. True if something that happened to a task was not told.
  bool tell_losses(SampleSink& sink);
  // As well; at intervals, or at once.
  void tell_tallies(SampleSink& sink);
  void tell_tallies_if_due(SampleSink& sink, Nanoseconds now);
  // At the end: hits for which no program ran, of all that the events counted.
  void tell_missed(SampleSink& sink, const PerfHitTotal& counted);

 private:
  void deliver_hit(Sample sample, SampleSink& sink);

  std::unique_ptr<BpfWatchPrograms> programs_;
  BpfRecordQueue queue_;
  bool rejects_;  // hits that fail a condition do not come out of the ring
  std::uint64_t told_rejections_ = 0;
  std::optional<BpfTallies> tallies_;  // hits like others do not, either
  Nanoseconds next_tallies_;
  BpfWatchPrograms::Counters told_;
  BpfHit hit_;  // reused
};

template <typename Build, typename Handle>
bool BpfOutput::deliver(SampleSink& sink, Nanoseconds until, std::size_t limit, Build build,
                        Handle handle) {
  return queue_.read(*programs_, until, limit, [&](std::span<const std::byte> record) {
    if (decode_bpf_hit(record, hit_)) {
      if (auto sample = build(hit_)) deliver_hit(*std::move(sample), sink);
    } else if (const auto task = decode_bpf_task(record)) {
      if (tallies_ && task->event == BpfTaskEvent::exit) tallies_->thread_ended(task->task.tid);
      handle(*task);
    }
  });
}

}  // namespace trapline::linux_port
