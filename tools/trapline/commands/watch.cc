#include "tools/trapline/commands/watch.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

#include "decode/culprit.h"
#include "ports/linux/native_architecture.h"
#include "ports/linux/remote_memory.h"
#include "report/json_reporter.h"
#include "report/output.h"
#include "report/summary_reporter.h"
#include "report/text_reporter.h"
#include "symbols/frame_state.h"
#include "symbols/process_image.h"
#include "symbols/symbolizer.h"
#include "symbols/unwinder.h"
#include "tools/trapline/messages.h"
#include "tools/trapline/watch/collector_choice.h"
#include "tools/trapline/watch/hit_pipeline.h"
#include "tools/trapline/watch/target.h"
#include "tools/trapline/watch/value_tracker.h"
#include "tools/trapline/watch/watch_loop.h"
#include "tools/trapline/watch/watched_object.h"

namespace trapline::command {
namespace {

// Where the report goes and in which form. Opened before anything is done to the target.
struct ReportOutput {
  report::Output records;  // hits
  report::Output remarks;  // everything else, for text
  std::unique_ptr<report::Reporter> reporter;
};

bool wants_json(const WatchOptions& options) {
  if (options.format != OutputFormat::automatic) return options.format == OutputFormat::json;
  return !options.output.empty() || ::isatty(STDOUT_FILENO) == 0;
}

std::unique_ptr<report::Reporter> make_reporter(const WatchOptions& options, ReportOutput& output) {
  const bool json = wants_json(options);
  if (options.summary) {
    using Format = report::SummaryReporter::Format;
    return std::make_unique<report::SummaryReporter>(output.records, output.remarks,
                                                     json ? Format::json : Format::text);
  }
  if (json) return std::make_unique<report::JsonReporter>(output.records);
  // https://no-color.org: any value that is not empty means none.
  const char* const no_colour = std::getenv("NO_COLOR");
  const bool is_terminal = options.output.empty() && ::isatty(STDOUT_FILENO) != 0;
  const report::TextReporter::Style style{
      .colour = is_terminal && (no_colour == nullptr || *no_colour == '\0'),
      .show_callers = options.stack != linux_port::StackMode::none};
  return std::make_unique<report::TextReporter>(output.records, output.remarks, style);
}

Result<std::unique_ptr<ReportOutput>> open_report(const WatchOptions& options) {
  auto opened =
      options.output.empty()
          ? Result<report::Output>(report::Output::borrow(STDOUT_FILENO, "standard output"))
          : report::Output::create(options.output);
  if (!opened) return std::unexpected(std::move(opened.error()));
  auto output = std::make_unique<ReportOutput>(
      ReportOutput{.records = std::move(*opened),
                   .remarks = report::Output::borrow(STDERR_FILENO, "standard error"),
                   .reporter = nullptr});
  output->reporter = make_reporter(options, *output);
  return output;
}

report::WatchStart describe_start(const WatchOptions& options, const WatchedObject& object,
                                  const Target& target, const InstalledCollector& installed) {
  report::WatchStart start;
  start.expression = options.what;
  start.request = object.request;
  start.type = object.type;
  start.target = target.describe();
  start.collector = installed.collector->name();
  start.cpus = installed.report.cpus;
  start.slots = object.plan.slots().size();
  start.notes = object.notes;
  start.notes.insert(start.notes.end(), installed.notes.begin(), installed.notes.end());
  return start;
}

// The exit status of a shell: the command's own, or 128 plus the signal that killed it.
int exit_status_of(int wait_status) {
  constexpr int kSignalBase = 128;
  return WIFSIGNALED(wait_status) ? kSignalBase + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

// A command that was started for the watch belongs to the user's terminal: stay until it ends,
// unless told to go.
std::optional<int> wait_for_command(Target& target, const StopSignals& signals, bool interrupted) {
  if (!target.is_command()) return std::nullopt;
  while (!interrupted && !target.has_exited()) {
    pollfd entries[] = {{.fd = target.exit_descriptor(), .events = POLLIN, .revents = 0},
                        {.fd = signals.descriptor(), .events = POLLIN, .revents = 0}};
    ::poll(entries, std::size(entries), -1);
    interrupted = signals.take().has_value();
  }
  return target.reap(false);
}

Result<int> watch(const WatchOptions& options) {
  // Before anything is blocked: what a command is to inherit.
  const auto inherited = linux_port::InheritedSignals::capture();
  const auto signals = StopSignals::block();
  if (!signals) return std::unexpected(signals.error());
  auto output = open_report(options);
  if (!output) return std::unexpected(std::move(output.error()));
  auto target = Target::acquire(options, inherited);
  if (!target) return std::unexpected(std::move(target.error()));

  const ProcessId pid = target->scope().pid;
  linux_port::RemoteMemory memory(pid);
  const auto image = symbols::ProcessImage::open(pid);
  if (!image) return std::unexpected(image.error());
  const auto object =
      find_watched_object(options, **image, memory, linux_port::native_debug_architecture());
  if (!object) return std::unexpected(object.error());
  auto installed = install_collector(options, target->scope(), object->plan);
  if (!installed) return std::unexpected(std::move(installed.error()));

  symbols::Symbolizer symbolizer(**image);
  symbols::Unwinder unwinder(**image);
  symbols::FrameState frame_state(**image);
  symbols::ImageCode code(**image, memory);
  decode::CulpritFinder finder(code);
  ValueTracker values(object->request, pid, memory, finder);
  values.read_initial(object->plan.slots(), target->is_command());
  report::Reporter& reporter = *(*output)->reporter;
  HitPipeline pipeline({options, *object, pid, **image, symbolizer, unwinder, frame_state, finder,
                        values, reporter});

  const Nanoseconds began = monotonic_now();
  Result<std::string> reason = std::string();
  if (auto started = reporter.start(describe_start(options, *object, *target, *installed));
      !started) {
    reason = std::unexpected(std::move(started.error()));
  } else if (auto running = target->run(installed->collector->name() == "ptrace"); !running) {
    reason = std::unexpected(std::move(running.error()));
  } else {
    WatchLoop loop(options, *object, *installed->collector, pipeline, reporter, *target, *signals);
    reason = loop.run();
  }
  installed->collector->stop(pipeline);
  if (!reason) return std::unexpected(std::move(reason.error()));

  report::WatchEnd end = pipeline.totals();
  end.duration = Nanoseconds{monotonic_now().value - began.value};
  end.reason = *reason;
  if (auto ended = reporter.end(end); !ended) return std::unexpected(std::move(ended.error()));
  auto status = pipeline.wait_status();
  if (!status) status = wait_for_command(*target, *signals, *reason == "interrupted");
  return target->is_command() && status ? exit_status_of(*status) : 0;
}

}  // namespace

int run_watch(const WatchOptions& options) {
  const auto status = watch(options);
  if (status) return *status;
  const Failure& failure = status.error();
  // Whoever reads the output has seen enough: `| head` is a normal end.
  if (failure.error.code == ErrorCode::output_failed && failure.error.os_errno == EPIPE) return 0;
  print_failure(failure);
  return failure.error.code == ErrorCode::bad_syntax ? kExitUsage : kExitNothingWatched;
}

}  // namespace trapline::command
