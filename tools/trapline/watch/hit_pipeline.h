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
#include "symbols/symbolizer.h"
#include "tools/trapline/watch/cpu_gaps.h"
#include "tools/trapline/watch/process_views.h"
#include "tools/trapline/watch/watch_options.h"
#include "tools/trapline/watch/watched_object.h"

namespace trapline::command {

class HitPipeline final : public linux_port::SampleSink {
 public:
  // All borrowed; they outlive the pipeline, and are complete before the first sample.
  struct Parts {
    const WatchOptions& options;
    const WatchedObject& object;
    std::optional<ProcessId> target;  // nullopt: the whole machine is watched
    ProcessViews& views;
    report::Reporter& reporter;
  };
  explicit HitPipeline(const Parts& parts);

  void on_sample(const linux_port::Sample& sample) override;
  void on_event(const linux_port::TargetEvent& event) override;
  void on_lost(std::uint64_t count) override;
  void on_tally(const linux_port::Tally& tally) override;
  void on_rejected(std::uint64_t count) override;
  void on_gap() override;
  void on_cpu(const linux_port::CpuEvent& event) override;
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
  // Counters so far, and the gaps up to `now`; duration and reason are the caller's.
  [[nodiscard]] report::WatchEnd totals(Nanoseconds now) const;

 private:
  using Tell = Result<void> (report::Reporter::*)(const report::HitView&);

  // Explains the hit and tells the reporter of it, in one way or the other.
  void tell(Tell how, Hit& hit, const linux_port::Sample& sample, const decode::Culprit* culprit,
            ProcessView& view);
  [[nodiscard]] const decode::Culprit* find_culprit(const linux_port::Sample& sample,
                                                    ProcessView& view) const;
  void find_values(Hit& hit, const linux_port::Sample& sample, const decode::Culprit* culprit,
                   ProcessView& view);
  // Where reads and writes could only be watched together: the instruction tells which it was.
  [[nodiscard]] bool is_wanted_kind(Hit& hit, const decode::Culprit* culprit);
  [[nodiscard]] bool passes_conditions(const Hit& hit);
  [[nodiscard]] const report::ResolvedStack& resolve_stack(const linux_port::Sample& sample,
                                                           const Hit& hit,
                                                           std::optional<RemoteAddress> ip,
                                                           ProcessView& view);
  [[nodiscard]] std::vector<symbols::Frame> resolve_frames(const report::StackKey& key,
                                                           ProcessView& view);
  void note(Result<void> written);

  Parts parts_;
  report::StackTable stacks_;
  bool traps_before_access_;  // the trap is at the instruction that makes the access
  symbols::KernelSymbolizer kernel_;
  CpuGaps gaps_;
  report::WatchEnd totals_;
  std::optional<std::string> finished_;
  std::optional<Failure> output_failure_;
  std::optional<int> wait_status_;
  bool image_is_replaced_ = false;
};

}  // namespace trapline::command
