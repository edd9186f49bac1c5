#include "tools/trapline/watch/watch_session.h"

#include <tuple>
#include <utility>

#include "ports/linux/monotonic_clock.h"
#include "ports/linux/native_architecture.h"
#include "ports/linux/proc_fs.h"

namespace trapline::command {
Result<void> report_end(report::Reporter& reporter, report::WatchEnd end,
                        const Result<std::string>& reason) {
  if (reason) {
    end.reason = *reason;
    return reporter.end(end);
  }
  if (reason.error().error.code != ErrorCode::output_failed) {
    end.reason = reason.error().message;
    // The first failure is the one to tell.
    std::ignore = reporter.end(end);
  }
  return std::unexpected(reason.error());
}

Result<std::unique_ptr<WatchSession>> WatchSession::install(const WatchOptions& options,
                                                            Target& target, ReportOutput& output) {
  auto image = symbols::ProcessImage::open(target.scope().pid);
  if (!image) return std::unexpected(std::move(image.error()));
  std::unique_ptr<WatchSession> session(
      new WatchSession(options, target, output, std::move(*image)));
  if (auto prepared = session->prepare(); !prepared)
    return std::unexpected(std::move(prepared.error()));
  return session;
}

WatchSession::WatchSession(const WatchOptions& options, Target& target, ReportOutput& output,
                           std::unique_ptr<symbols::ProcessImage> image)
    : options_(options),
      target_(target),
      output_(output),
      memory_(target.scope().pid),
      image_(std::move(image)),
      symbolizer_(*image_),
      unwinder_(*image_),
      frame_state_(*image_),
      code_(*image_, memory_),
      finder_(code_),
      values_(target.scope().pid, memory_, finder_),
      pipeline_({options_, object_, target.scope().pid, *image_, symbolizer_, unwinder_,
                 frame_state_, finder_, values_, output.reporter()}) {}

Result<void> WatchSession::prepare() {
  auto object =
      find_watched_object(options_, *image_, memory_, linux_port::native_debug_architecture());
  if (!object) return std::unexpected(std::move(object.error()));
  object_ = std::move(*object);
  // Before the first hit can happen. A command still waits at its entry point; anybody else may
  // write meanwhile.
  values_.read_initial(object_.request, object_.plan.slots(), target_.is_command());
  auto installed = install_collector(options_, target_.scope(), object_.plan);
  if (!installed) return std::unexpected(std::move(installed.error()));
  installed_ = std::move(*installed);
  values_.set_sees_all_writers(sees_all_writers());
  return {};
}

bool WatchSession::sees_all_writers() const {
  return !target_.scope().only_thread && installed_.report.sees_kernel_accesses &&
         linux_port::is_private_memory(target_.scope().pid, object_.request.address,
                                       object_.request.length);
}

report::WatchStart WatchSession::describe_start() const {
  report::WatchStart start;
  start.expression = options_.what;
  start.request = object_.request;
  start.type = object_.type;
  start.target = target_.describe();
  start.collector = installed_.collector->name();
  start.cpus = installed_.report.cpus;
  start.slots = object_.plan.slots().size();
  start.began = linux_port::monotonic_now();
  start.notes = object_.notes;
  start.notes.insert(start.notes.end(), installed_.notes.begin(), installed_.notes.end());
  return start;
}

Result<std::string> WatchSession::watch(const StopSignals& signals) {
  if (auto started = output_.reporter().start(describe_start()); !started) {
    return std::unexpected(std::move(started.error()));
  }
  if (auto running = target_.run(installed_.collector->name() == "ptrace"); !running) {
    return std::unexpected(std::move(running.error()));
  }
  WatchLoop loop(options_, object_, *installed_.collector, pipeline_, output_.reporter(), target_,
                 signals);
  return loop.run();
}

Result<void> WatchSession::run(const StopSignals& signals) {
  const Nanoseconds began = linux_port::monotonic_now();
  auto reason = watch(signals);
  output_.hurry();
  installed_.collector->stop(pipeline_);
  if (reason) {
    // The last hits may have come out only now, and among them the one that was waited for.
    reason = pipeline_.finished().value_or(*reason);
    end_reason_ = *reason;
  }
  report::WatchEnd end = pipeline_.totals();
  end.duration = Nanoseconds{linux_port::monotonic_now().value - began.value};
  return report_end(output_.reporter(), end, reason);
}

}  // namespace trapline::command
