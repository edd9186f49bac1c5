#include "ports/linux/bpf/bpf_output.h"

#include <utility>

namespace trapline::linux_port {
namespace {

// How often what was tallied is read.
constexpr Nanoseconds kTallyInterval{250'000'000};

std::optional<BpfTallies> tallies_for(const trapline_watch_config& config) {
  if (config.tallies_hits == 0) return std::nullopt;
  return BpfTallies(static_cast<ValueOrder>(config.value_order));
}

}  // namespace

BpfOutput::BpfOutput(std::unique_ptr<BpfWatchPrograms> programs)
    : programs_(std::move(programs)),
      rejects_(programs_->config().filter.count != 0),
      tallies_(tallies_for(programs_->config())) {}

void BpfOutput::deliver_hit(Sample sample, SampleSink& sink) {
  sample.hit.old_value = hit_.old_value;
  sample.hit.new_value = hit_.new_value;
  // Memory is not read later: what it held at the hit has come along.
  sample.is_newest = false;
  sample.follows_undelivered = (rejects_ || tallies_) && !hit_.is_first;
  if (tallies_ && hit_.opens_tally) sample.tally = tallies_->open(*hit_.opens_tally);
  sink.on_sample(sample);
}

void BpfOutput::tell_rejections(SampleSink& sink) {
  if (!rejects_) return;
  const auto counts = programs_->hit_counts();
  if (!counts || counts->rejected == told_rejections_) return;
  sink.on_rejected(counts->rejected - told_rejections_);
  told_rejections_ = counts->rejected;
}

bool BpfOutput::tell_losses(SampleSink& sink) {
  const auto counters = programs_->counters();
  const auto told = std::exchange(told_, counters);
  if (counters.lost_hits != told.lost_hits || counters.lost_tasks != told.lost_tasks) sink.on_gap();
  if (counters.lost_hits != told.lost_hits) sink.on_lost(counters.lost_hits - told.lost_hits);
  return counters.lost_tasks != told.lost_tasks;
}

void BpfOutput::tell_tallies(SampleSink& sink) {
  if (!tallies_) return;
  const auto tallies = programs_->tallies();
  if (!tallies) {
    sink.on_lost_uncounted();
    return;
  }
  programs_->remove_tallies(tallies_->tell(*tallies, sink));
}

void BpfOutput::tell_tallies_if_due(SampleSink& sink, Nanoseconds now) {
  if (!tallies_ || now < next_tallies_) return;
  tell_tallies(sink);
  next_tallies_ = Nanoseconds{now.value + kTallyInterval.value};
}

void BpfOutput::tell_missed(SampleSink& sink, const PerfHitTotal& counted) {
  const auto handled = programs_->hit_counts();
  if (!counted.is_complete || !handled) {
    sink.on_lost_uncounted();
  } else if (counted.hits > handled->runs) {
    sink.on_gap();
    sink.on_lost(counted.hits - handled->runs);
  }
}

}  // namespace trapline::linux_port
