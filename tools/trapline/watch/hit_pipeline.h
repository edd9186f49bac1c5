// From a collector's sample to a line of the report: culprit, values, conditions, stack.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/failure.h"
#include "decode/culprit.h"
#include "ports/linux/collector.h"
#include "report/reporter.h"
#include "report/stack_table.h"
#include "symbols/frame_state.h"
#include "symbols/process_image.h"
#include "symbols/symbolizer.h"
#include "symbols/unwinder.h"
#include "tools/trapline/watch/value_tracker.h"
#include "tools/trapline/watch/watch_options.h"
#include "tools/trapline/watch/watched_object.h"

namespace trapline::command {

class HitPipeline final : public linux_port::SampleSink {
 public:
  // All borrowed; they outlive the pipeline, and are complete before the first sample.
  struct Parts {
    const WatchOptions& options;
    const WatchedObject& object;
    ProcessId pid;
    symbols::ProcessImage& image;
    symbols::Symbolizer& symbolizer;
    symbols::Unwinder& unwinder;
    symbols::FrameState& frame_state;
    decode::CulpritFinder& finder;
    ValueTracker& values;
    report::Reporter& reporter;
  };
  explicit HitPipeline(const Parts& parts);

  void on_sample(const linux_port::Sample& sample) override;
  void on_event(const linux_port::TargetEvent& event) override;
  void on_lost(std::uint64_t count) override;
  void on_gap() override;
  void on_lost_uncounted() override;

  // Why no further hit will be reported; nullopt while the watch goes on.
  [[nodiscard]] const std::optional<std::string>& finished() const { return finished_; }
  // The output could not be written; nothing more will be.
  [[nodiscard]] const std::optional<Failure>& output_failure() const { return output_failure_; }
  // The process watched first runs another program, and its mappings are that one's; its children
  // are still watched.
  [[nodiscard]] bool image_is_replaced() const { return image_is_replaced_; }
  // As waitpid gave it, when the collector reaped the process.
  [[nodiscard]] std::optional<int> wait_status() const { return wait_status_; }
  // Counters so far; duration, gap and reason are the caller's.
  [[nodiscard]] const report::WatchEnd& totals() const { return totals_; }

 private:
  [[nodiscard]] const decode::Culprit* find_culprit(const linux_port::Sample& sample);
  [[nodiscard]] bool passes_conditions(const Hit& hit);
  [[nodiscard]] const report::ResolvedStack& resolve_stack(const linux_port::Sample& sample,
                                                           const Hit& hit,
                                                           std::optional<RemoteAddress> ip);
  [[nodiscard]] std::vector<symbols::Frame> resolve_frames(const report::StackKey& key);
  // The hit's callers, innermost first: unwound, or the collector's completed. Valid until the next
  // call.
  [[nodiscard]] std::span<const RemoteAddress> find_callers(const linux_port::Sample& sample);
  void refresh_symbols_if_stale();
  void note(Result<void> written);

  Parts parts_;
  report::StackTable stacks_;
  report::WatchEnd totals_;
  std::optional<std::string> finished_;
  std::optional<Failure> output_failure_;
  std::optional<int> wait_status_;
  bool symbols_stale_ = false;
  // The process whose image and memory are at hand runs another program: its children still run the
  // one that is watched.
  bool image_is_replaced_ = false;
  std::vector<RemoteAddress>
      callers_;  // of the current hit, where they are not simply the collector's
};

}  // namespace trapline::command
