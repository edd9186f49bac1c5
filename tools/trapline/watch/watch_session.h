// One watch from beginning to end: what is watched, how, and who explains the hits. Built only when
// all of it is in place.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/failure.h"
#include "ports/linux/kernel_memory.h"
#include "symbols/process_image.h"
#include "tools/trapline/watch/collector_choice.h"
#include "tools/trapline/watch/hit_pipeline.h"
#include "tools/trapline/watch/machine_object.h"
#include "tools/trapline/watch/process_views.h"
#include "tools/trapline/watch/report_output.h"
#include "tools/trapline/watch/target.h"
#include "tools/trapline/watch/watch_loop.h"
#include "tools/trapline/watch/watch_options.h"
#include "tools/trapline/watch/watched_object.h"

namespace trapline::command {

// Reports the end of a watch that ended for `reason`, also of one that failed: then the failure is
// the reason it tells, and is returned. Only where the output itself failed nothing is written.
[[nodiscard]] Result<void> report_end(report::Reporter& reporter, report::WatchEnd end,
                                      const Result<std::string>& reason);

class WatchSession {
 public:
  // Resolves WHAT in the target and sets the debug registers. All borrowed. On error nothing is
  // left in the target.
  [[nodiscard]] static Result<std::unique_ptr<WatchSession>> install(const WatchOptions& options,
                                                                     Target& target,
                                                                     ReportOutput& output);

  // Lets a command go, reports until the watch ends, takes everything out of the target again and
  // reports the end.
  [[nodiscard]] Result<void> run(const StopSignals& signals);

  // Why it ended; "" if it failed.
  [[nodiscard]] const std::string& end_reason() const { return end_reason_; }
  // Of a command that the collector collected itself.
  [[nodiscard]] std::optional<int> wait_status() const { return pipeline_.wait_status(); }

 private:
  // One view for all hits.
  WatchSession(const WatchOptions& options, Target& target, ReportOutput& output,
               std::unique_ptr<symbols::ProcessImage> image);
  // The whole machine: a view for each process.
  WatchSession(const WatchOptions& options, Target& target, ReportOutput& output,
               MachineObject found);

  [[nodiscard]] static Result<std::unique_ptr<WatchSession>> make(const WatchOptions& options,
                                                                  Target& target,
                                                                  ReportOutput& output);
  [[nodiscard]] Result<void> prepare();
  [[nodiscard]] Result<void> prepare_machine();
  [[nodiscard]] Result<std::string> watch(const StopSignals& signals);
  [[nodiscard]] report::WatchStart describe_start() const;
  // Whether every write to what is watched is a hit.
  [[nodiscard]] bool sees_all_writers() const;

  const WatchOptions& options_;
  Target& target_;
  ReportOutput& output_;
  // Of a watch of the whole machine.
  std::optional<MachineObject> found_;
  std::unique_ptr<linux_port::KernelMemory> kernel_memory_;  // of a watch of the kernel's
  ProcessViews views_;
  WatchedObject object_;
  InstalledCollector installed_;
  HitPipeline pipeline_;
  Nanoseconds began_;  // before the first hit can happen
  std::string end_reason_;
};

}  // namespace trapline::command
