// The loop of a running watch: waits for hits, signals, the end of the target and the clock.
#pragma once

#include <csignal>
#include <optional>
#include <string>

#include "base/failure.h"
#include "ports/linux/collector.h"
#include "ports/linux/file_descriptor.h"
#include "report/reporter.h"
#include "tools/trapline/watch/hit_pipeline.h"
#include "tools/trapline/watch/module_presence.h"
#include "tools/trapline/watch/target.h"
#include "tools/trapline/watch/watch_options.h"
#include "tools/trapline/watch/watched_object.h"
#include "trapline/base/units.h"

namespace trapline::command {

// Takes SIGINT, SIGTERM, SIGHUP and SIGQUIT as data instead of interruptions, and ignores SIGPIPE
// and SIGXFSZ. A tracer that any of these ended would leave its debug registers in the target.
class StopSignals {
 public:
  [[nodiscard]] static Result<StopSignals> block();
  StopSignals(StopSignals&& other) noexcept = default;
  StopSignals& operator=(StopSignals&& other) = delete;

  [[nodiscard]] int descriptor() const { return signal_fd_.get(); }
  // The signal that arrived, if one did. Never blocks.
  [[nodiscard]] std::optional<int> take() const;

 private:
  explicit StopSignals(linux_port::FileDescriptor signal_fd) : signal_fd_(std::move(signal_fd)) {}
  linux_port::FileDescriptor signal_fd_;
};

class WatchLoop {
 public:
  // All borrowed.
  WatchLoop(const WatchOptions& options, const WatchedObject& object,
            linux_port::Collector& collector, HitPipeline& pipeline, report::Reporter& reporter,
            Target& target, const StopSignals& signals);

  // Returns why the watch ended: "interrupted", "100 hits", "the target exited with status 0", ...
  // Nothing is removed from the target yet. Errors: what the collector could not read, what the
  // output could not take.
  [[nodiscard]] Result<std::string> run();

 private:
  [[nodiscard]] Nanoseconds wait_limit(Nanoseconds now) const;
  void wait(Nanoseconds limit);
  // Delivers all that has arrived, looking at signals between batches; true while hits keep coming.
  [[nodiscard]] Result<bool> drain_once();
  [[nodiscard]] std::optional<std::string> ended(Nanoseconds now);
  // Whether the target was found to have exited since the last call.
  [[nodiscard]] bool notice_exit();
  void remember_module();
  [[nodiscard]] bool module_is_gone() const;

  const WatchOptions& options_;
  const WatchedObject& object_;
  linux_port::Collector& collector_;
  HitPipeline& pipeline_;
  report::Reporter& reporter_;
  Target& target_;
  const StopSignals& signals_;
  std::optional<Nanoseconds> deadline_;
  Nanoseconds next_mapping_check_;
  bool target_gone_ = false;
  bool target_exited_ = false;  // only as of the last look
  std::optional<ModulePresence> module_;
};

// "the target exited with status 3", "the target was killed by signal 9".
[[nodiscard]] std::string describe_exit(std::optional<int> wait_status);

}  // namespace trapline::command
