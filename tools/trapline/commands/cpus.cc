#include "tools/trapline/commands/cpus.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>
#include <memory>
#include <mutex>
#include <tuple>
#include <utility>
#include <vector>

#include "ports/linux/cpu_files.h"
#include "ports/linux/file_descriptor.h"
#include "ports/linux/kernel_cpu_states.h"
#include "ports/linux/monotonic_clock.h"
#include "report/output.h"
#include "tools/trapline/cpus/cpu_report.h"
#include "tools/trapline/messages.h"
#include "tools/trapline/watch/watch_loop.h"
#include "trapline/linux/cpu_hotplug.h"

namespace trapline::command {
namespace {

using linux_port::monotonic_now;

// The transitions that have ended since the last look. Told of by whichever thread walks a CPU.
class TransitionLog final : public hotplug::Tracer {
 public:
  explicit TransitionLog(linux_port::FileDescriptor wake) : wake_(std::move(wake)) {}

  void on_trace(const hotplug::TraceEvent& event) override {
    if (event.kind != hotplug::TraceEvent::Kind::transition_end) return;
    const std::lock_guard lock(mutex_);
    ended_.push_back({event, monotonic_now()});
    const std::uint64_t one = 1;
    // Its counter does not overflow: every look resets it.
    (void)!::write(wake_.get(), &one, sizeof one);
  }
  struct Ended {
    hotplug::TraceEvent event;
    Nanoseconds time;
  };
  [[nodiscard]] std::vector<Ended> take() {
    // Before the look: what ends after it makes the descriptor readable again.
    std::uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof count);
    const std::lock_guard lock(mutex_);
    return std::exchange(ended_, {});
  }
  // Readable when there is something to take.
  [[nodiscard]] int descriptor() const { return wake_.get(); }

 private:
  linux_port::FileDescriptor wake_;
  std::mutex mutex_;  // guards ended_
  std::vector<Ended> ended_;
};

class Cpus {
 public:
  Cpus(CpuHotplug& hotplug, const linux_port::CpuFiles& files) : hotplug_(hotplug), files_(files) {}

  [[nodiscard]] std::vector<CpuFacts> all() {
    std::vector<CpuFacts> facts;
    files_.present().value_or(CpuSet{}).for_each([&](CpuId cpu) {
      const auto status = hotplug_.machine().status(cpu);
      CpuFacts fact = facts_of(cpu, status ? status->state : hotplug::StateNumber{});
      if (status && status->changed_at.value != 0)
        fact.transition =
            CpuTransition{status->changed_at, status->transition_duration, status->error};
      facts.push_back(std::move(fact));
    });
    return facts;
  }
  [[nodiscard]] CpuFacts of(const TransitionLog::Ended& ended) {
    const hotplug::TraceEvent& event = ended.event;
    CpuFacts fact = facts_of(event.cpu, event.state);
    fact.transition = CpuTransition{ended.time, event.duration, event.error};
    return fact;
  }

 private:
  [[nodiscard]] CpuFacts facts_of(CpuId cpu, hotplug::StateNumber state) {
    CpuFacts fact;
    fact.cpu = cpu;
    fact.is_online = files_.online().value_or(CpuSet{}).contains(cpu);
    if (const auto number = kernel_.state_of(cpu))
      fact.kernel_state = CpuState{*number, kernel_.name_of(*number)};
    fact.state =
        CpuState{state.value,
                 std::string(hotplug_.machine().state_name(state).value_or(std::string_view()))};
    return fact;
  }

  CpuHotplug& hotplug_;
  const linux_port::CpuFiles& files_;
  linux_port::KernelCpuStates kernel_;
};

class CpusOutput {
 public:
  CpusOutput(const CpusOptions& options, const StopSignals& signals)
      : is_text_(options.format == OutputFormat::text ||
                 (options.format == OutputFormat::automatic && ::isatty(STDOUT_FILENO) != 0)),
        output_(report::Output::borrow(STDOUT_FILENO, "standard output")) {
    output_.stop_waiting_on(signals.descriptor());
  }

  [[nodiscard]] Result<void> table(std::span<const CpuFacts> cpus) {
    if (is_text_) return write(to_table(cpus, monotonic_now()));
    for (const CpuFacts& cpu : cpus) {
      if (auto written = write(to_json_line(cpu)); !written) return written;
    }
    return {};
  }
  [[nodiscard]] Result<void> change(const CpuFacts& cpu) {
    return write(is_text_ ? to_line(cpu, began_) : to_json_line(cpu));
  }

 private:
  [[nodiscard]] Result<void> write(const std::string& text) {
    output_.buffer().append(text);
    return output_.flush();
  }

  bool is_text_;
  Nanoseconds began_ = monotonic_now();
  report::Output output_;
};

// Until a signal.
Result<void> follow(TransitionLog& log, Cpus& cpus, CpusOutput& output,
                    const StopSignals& signals) {
  while (!signals.take()) {
    pollfd entries[] = {{.fd = signals.descriptor(), .events = POLLIN, .revents = 0},
                        {.fd = log.descriptor(), .events = POLLIN, .revents = 0}};
    ::poll(entries, std::size(entries), -1);
    for (const TransitionLog::Ended& ended : log.take()) {
      if (auto written = output.change(cpus.of(ended)); !written) return written;
    }
  }
  return {};
}

Result<void> report_cpus(const CpusOptions& options) {
  const auto signals = StopSignals::block();
  if (!signals) return std::unexpected(signals.error());
  linux_port::FileDescriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.is_open())
    return fail(ErrorCode::limit_reached,
                "no descriptors are left; raise the limit with: ulimit -n", errno);
  TransitionLog log(std::move(wake));
  CpuHotplugOptions wanted;
  wanted.tracer = &log;
  const auto hotplug = CpuHotplug::start(wanted);
  if (!hotplug)
    return fail(hotplug.error().code,
                fmt::format("CPUs cannot be followed here ({}); is /sys mounted?",
                            name_of(hotplug.error().code)),
                hotplug.error().os_errno);
  const linux_port::CpuFiles files;
  Cpus cpus(**hotplug, files);
  CpusOutput output(options, *signals);
  // Those of the start are in the table.
  std::ignore = log.take();
  if (auto written = output.table(cpus.all()); !written) return written;
  return options.follow ? follow(log, cpus, output, *signals) : Result<void>{};
}

}  // namespace

int run_cpus(const CpusOptions& options) {
  const auto reported = report_cpus(options);
  if (reported) return 0;
  // Whoever reads has seen enough.
  if (reported.error().error.os_errno == EPIPE) return 0;
  print_failure(reported.error());
  return kExitNothingWatched;
}

}  // namespace trapline::command
