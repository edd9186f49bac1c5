#include "tools/trapline/watch/watch_loop.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "ports/linux/monotonic_clock.h"
#include "ports/linux/proc_fs.h"

namespace trapline::command {
namespace {

using linux_port::monotonic_now;

// How long an unloaded library may go unnoticed. Reading the map of a process with 1 000 mappings
// takes 1 ms.
constexpr Nanoseconds kMappingCheckInterval{250 * kNanosecondsPerMillisecond};
constexpr Nanoseconds kLongestWait{1 * kNanosecondsPerSecond};

}  // namespace

std::string describe_exit(std::optional<int> wait_status) {
  if (!wait_status) return "the target ended";
  if (WIFSIGNALED(*wait_status))
    return fmt::format("the target was killed by signal {}", WTERMSIG(*wait_status));
  return fmt::format("the target exited with status {}", WEXITSTATUS(*wait_status));
}

Result<StopSignals> StopSignals::block() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::sigaddset(&set, number);
  if (::pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) {
    return fail(ErrorCode::os_failure, "signals cannot be blocked", errno);
  }
  // A closed pipe and a file at its size limit are errors of write(), to be reported.
  for (const int number : {SIGPIPE, SIGXFSZ}) ::signal(number, SIG_IGN);
  linux_port::FileDescriptor descriptor(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!descriptor.is_open())
    return fail(ErrorCode::os_failure, "signals cannot be waited for (signalfd)", errno);
  return StopSignals(std::move(descriptor));
}

std::optional<int> StopSignals::take() const {
  signalfd_siginfo info{};
  if (::read(signal_fd_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info))
    return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

WatchLoop::WatchLoop(const WatchOptions& options, const WatchedObject& object,
                     linux_port::Collector& collector, HitPipeline& pipeline,
                     report::Reporter& reporter, Target& target, const StopSignals& signals)
    : options_(options),
      object_(object),
      collector_(collector),
      pipeline_(pipeline),
      reporter_(reporter),
      target_(target),
      signals_(signals) {}

Result<std::string> WatchLoop::run() {
  const Nanoseconds start = monotonic_now();
  if (options_.duration) deadline_ = Nanoseconds{start.value + options_.duration->value};
  next_mapping_check_ = Nanoseconds{start.value + kMappingCheckInterval.value};
  remember_module();
  while (true) {
    const auto busy = drain_once();
    if (!busy) return std::unexpected(busy.error());
    // Its last hits and its exit status may have come after the drain.
    if (notice_exit()) continue;
    if (const auto reason = ended(monotonic_now())) return *reason;
    if (*busy) continue;
    if (auto flushed = reporter_.flush(); !flushed)
      return std::unexpected(std::move(flushed.error()));
    wait(wait_limit(monotonic_now()));
  }
}

Result<bool> WatchLoop::drain_once() {
  const auto drained = collector_.drain(pipeline_);
  if (!drained) return std::unexpected(drained.error());
  if (pipeline_.output_failure()) return std::unexpected(*pipeline_.output_failure());
  target_gone_ = drained->target_gone && !drained->more_pending;
  return drained->more_pending;
}

bool WatchLoop::notice_exit() {
  if (target_exited_) return false;
  target_exited_ = target_.has_exited();
  return target_exited_;
}

std::optional<std::string> WatchLoop::ended(Nanoseconds now) {
  if (pipeline_.finished()) return pipeline_.finished();
  if (signals_.take()) return "interrupted";
  if (deadline_ && now >= *deadline_) {
    return fmt::format("{} s passed", static_cast<double>(options_.duration->value) /
                                          static_cast<double>(kNanosecondsPerSecond));
  }
  if (target_gone_ || (target_exited_ && !target_.scope().follow_children)) {
    const auto reaped = pipeline_.wait_status() ? pipeline_.wait_status() : target_.reap();
    return describe_exit(reaped);
  }
  if (now >= next_mapping_check_) {
    next_mapping_check_ = Nanoseconds{now.value + kMappingCheckInterval.value};
    if (module_is_gone())
      return fmt::format("{}, which holds {}, was unloaded", object_.module, options_.what);
  }
  return std::nullopt;
}

void WatchLoop::remember_module() {
  if (object_.module.empty()) return;
  const auto mappings = linux_port::read_maps(target_.scope().pid);
  if (mappings && !mappings->empty())
    module_.emplace(*mappings, object_.module_start, object_.request.address);
}

bool WatchLoop::module_is_gone() const {
  // After an exec the mappings are another program's; the children still have the module.
  if (!module_ || pipeline_.image_is_replaced()) return false;
  const auto mappings = linux_port::read_maps(target_.scope().pid);
  // A process that cannot be looked at is about to end, and says so itself.
  if (!mappings || mappings->empty()) return false;
  return !module_->holds_in(*mappings);
}

Nanoseconds WatchLoop::wait_limit(Nanoseconds now) const {
  Nanoseconds limit = std::min(kLongestWait, Nanoseconds{next_mapping_check_.value -
                                                         std::min(next_mapping_check_, now).value});
  if (const auto interval = collector_.drain_interval()) limit = std::min(limit, *interval);
  if (deadline_)
    limit = std::min(limit, Nanoseconds{deadline_->value - std::min(*deadline_, now).value});
  return limit;
}

void WatchLoop::wait(Nanoseconds limit) {
  std::vector<pollfd> entries;
  entries.push_back({.fd = signals_.descriptor(), .events = POLLIN, .revents = 0});
  // It stays readable: with --children the watch goes on, and would never wait again.
  if (!target_exited_)
    entries.push_back({.fd = target_.exit_descriptor(), .events = POLLIN, .revents = 0});
  for (const int descriptor : collector_.descriptors()) {
    entries.push_back({.fd = descriptor, .events = POLLIN, .revents = 0});
  }
  // Rounded up: waking a moment late is one drain, waking a moment early is a busy loop.
  const auto milliseconds =
      (limit.value + kNanosecondsPerMillisecond - 1) / kNanosecondsPerMillisecond;
  ::poll(entries.data(), entries.size(), static_cast<int>(milliseconds));
}

}  // namespace trapline::command
