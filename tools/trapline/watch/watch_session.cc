#include "tools/trapline/watch/watch_session.h"

#include <tuple>
#include <utility>

#include "ports/linux/monotonic_clock.h"
#include "ports/linux/native_architecture.h"
#include "ports/linux/proc_fs.h"

namespace trapline::command {
namespace {

std::unique_ptr<linux_port::KernelMemory> open_kernel_memory(const MachineObject& found) {
  return found.in_kernel ? std::make_unique<linux_port::KernelMemory>() : nullptr;
}

}  // namespace

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
  auto session = make(options, target, output);
  if (!session) return session;
  auto prepared = options.whole_machine ? (*session)->prepare_machine() : (*session)->prepare();
  if (!prepared) return std::unexpected(std::move(prepared.error()));
  return session;
}

Result<std::unique_ptr<WatchSession>> WatchSession::make(const WatchOptions& options,
                                                         Target& target, ReportOutput& output) {
  // The views are made from what these find, so they come first.
  if (options.whole_machine) {
    auto found = find_machine_object(options, linux_port::native_debug_architecture());
    if (!found) return std::unexpected(std::move(found.error()));
    return std::unique_ptr<WatchSession>(
        new WatchSession(options, target, output, *std::move(found)));
  }
  auto image = symbols::ProcessImage::open(target.scope().pid);
  if (!image) return std::unexpected(std::move(image.error()));
  return std::unique_ptr<WatchSession>(
      new WatchSession(options, target, output, *std::move(image)));
}

WatchSession::WatchSession(const WatchOptions& options, Target& target, ReportOutput& output,
                           std::unique_ptr<symbols::ProcessImage> image)
    : options_(options),
      target_(target),
      output_(output),
      views_(std::move(image)),
      pipeline_({options_, object_, target.scope().pid, views_, output.reporter()}) {}

WatchSession::WatchSession(const WatchOptions& options, Target& target, ReportOutput& output,
                           MachineObject found)
    : options_(options),
      target_(target),
      output_(output),
      found_(std::move(found)),
      kernel_memory_(open_kernel_memory(*found_)),
      views_(kernel_memory_.get()),
      object_(found_->object),
      pipeline_({options_, object_, std::nullopt, views_, output.reporter()}) {}

Result<void> WatchSession::prepare_machine() {
  views_.read_initial(object_.request, object_.plan.slots(), /*target_is_stopped=*/false);
  began_ = linux_port::monotonic_now();
  auto installed = install_machine_collector(options_, *found_);
  if (!installed) return std::unexpected(std::move(installed.error()));
  installed_ = std::move(*installed);
  if (kernel_memory_ && kernel_memory_->obstacle() && options_.values &&
      !installed_.report.reads_values)
    installed_.notes.push_back("values are not told: " + kernel_memory_->obstacle()->message);
  return {};
}

Result<void> WatchSession::prepare() {
  ProcessView& view = views_.of(target_.scope().pid);
  auto object = find_watched_object(options_, *view.image(), view.memory(),
                                    linux_port::native_debug_architecture());
  if (!object) return std::unexpected(std::move(object.error()));
  object_ = std::move(*object);
  // Before the first hit can happen. A command still waits at its entry point; anybody else may
  // write meanwhile.
  views_.read_initial(object_.request, object_.plan.slots(), target_.is_command());
  began_ = linux_port::monotonic_now();
  auto installed = install_collector(options_, target_.scope(), object_);
  if (!installed) return std::unexpected(std::move(installed.error()));
  installed_ = std::move(*installed);
  views_.set_sees_all_writers(sees_all_writers());
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
  // A file's variable takes them at each address where somebody has it.
  start.slots = found_ && found_->file ? installed_.report.slots : object_.plan.slots().size();
  start.began = began_;
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
  const Nanoseconds ended = linux_port::monotonic_now();
  report::WatchEnd end = pipeline_.totals(ended);
  end.duration = Nanoseconds{ended.value - began.value};
  return report_end(output_.reporter(), end, reason);
}

}  // namespace trapline::command
