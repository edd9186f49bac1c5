#include "ports/linux/ptrace_collector.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "ports/linux/file_descriptor.h"
#include "ports/linux/kept_sample.h"
#include "ports/linux/monotonic_clock.h"
#include "ports/linux/native_architecture.h"
#include "ports/linux/proc_fs.h"
#include "ports/linux/ptrace_guard.h"
#include "ports/linux/ptrace_tracer.h"
#include "trapline/base/units.h"
#include "trapline/watch/slot_table.h"

namespace trapline::linux_port {
namespace {

// A thread that has not stopped by then sleeps in the kernel (a disk, a vfork).
constexpr std::uint64_t kStopDeadlineMs = 1000;
constexpr int kPollMs = 5;
// Ends of threads that nothing woke us for.
constexpr Nanoseconds kDrainInterval{50'000'000};

std::uint64_t now_ms() {
  return monotonic_now().value / kNanosecondsPerMillisecond;
}

// What happened before anybody listened.
class Backlog final : public SampleSink {
 public:
  void on_sample(const Sample& sample) override { entries_.emplace_back().sample.emplace(sample); }
  void on_event(const TargetEvent& event) override { entries_.emplace_back().event = event; }
  void on_lost(std::uint64_t count) override { entries_.emplace_back().lost = count; }

  void deliver(SampleSink& sink) {
    for (Entry& entry : entries_) {
      if (entry.event) {
        sink.on_event(*entry.event);
      } else if (entry.lost != 0) {
        sink.on_lost(entry.lost);
      } else {
        sink.on_sample(entry.sample->get());
      }
    }
    entries_.clear();
  }

 private:
  struct Entry {
    std::optional<KeptSample> sample;
    std::optional<TargetEvent> event;
    std::uint64_t lost = 0;
  };
  std::deque<Entry> entries_;
};

// Tells the guard of every process that joins.
class GuardedSink final : public SampleSink {
 public:
  GuardedSink(SampleSink& sink, PtraceGuard& guard) : sink_(sink), guard_(guard) {}
  void on_sample(const Sample& sample) override { sink_.on_sample(sample); }
  void on_event(const TargetEvent& event) override {
    if (event.kind == TargetEvent::Kind::process_forked) guard_.add(event.pid);
    sink_.on_event(event);
  }
  void on_lost(std::uint64_t count) override { sink_.on_lost(count); }

 private:
  SampleSink& sink_;
  PtraceGuard& guard_;
};

// SIGCHLD as a descriptor, for as long as it lives.
class ChildSignal {
 public:
  [[nodiscard]] Result<void> open() {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGCHLD);
    ::pthread_sigmask(SIG_BLOCK, &set, &former_mask_);
    ::sigaction(SIGCHLD, nullptr, &former_action_);
    const bool is_silent = former_action_.sa_handler == SIG_IGN ||
                           (former_action_.sa_flags & (SA_NOCLDSTOP | SA_NOCLDWAIT)) != 0;
    if (is_silent) {
      struct sigaction action{};
      action.sa_handler = SIG_DFL;
      ::sigaction(SIGCHLD, &action, nullptr);
      restore_action_ = true;
    }
    open_ = true;
    descriptor_ = FileDescriptor(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (descriptor_.is_open()) return {};
    const int error = errno;
    close();
    return fail(ErrorCode::limit_reached,
                "no descriptor left to wait for the target (signalfd); see ulimit -n", error);
  }

  void close() {
    if (!std::exchange(open_, false)) return;
    descriptor_.reset();
    if (std::exchange(restore_action_, false)) ::sigaction(SIGCHLD, &former_action_, nullptr);
    if (::sigismember(&former_mask_, SIGCHLD) == 0)
      ::pthread_sigmask(SIG_SETMASK, &former_mask_, nullptr);
  }

  void consume() const {
    // A standard signal is pending once at most, however often it was sent.
    signalfd_siginfo info{};
    [[maybe_unused]] const ssize_t count = ::read(descriptor_.get(), &info, sizeof info);
  }

  void wait() const {
    pollfd entry{.fd = descriptor_.get(), .events = POLLIN, .revents = 0};
    ::poll(&entry, 1, kPollMs);
  }

  [[nodiscard]] int descriptor() const { return descriptor_.get(); }

 private:
  FileDescriptor descriptor_;
  sigset_t former_mask_{};
  struct sigaction former_action_{};
  bool restore_action_ = false;
  bool open_ = false;
};

class PtraceCollector final : public Collector {
 public:
  ~PtraceCollector() override {
    Backlog nobody;
    stop(nobody);
  }

  [[nodiscard]] std::string_view name() const override { return "ptrace"; }

  [[nodiscard]] Result<InstallReport> install(const TargetScope& scope, const Plan& plan,
                                              const CollectorOptions& options) override;

  [[nodiscard]] std::span<const int> descriptors() const override { return descriptors_; }
  [[nodiscard]] std::optional<Nanoseconds> drain_interval() const override {
    return kDrainInterval;
  }
  [[nodiscard]] Result<Drained> drain(SampleSink& sink) override;
  void stop(SampleSink& sink) override;

 private:
  [[nodiscard]] Result<void> prepare_threads();
  void release_threads(SampleSink& sink);
  [[nodiscard]] InstallReport report(const CpuSet& cpus, const Plan& plan, bool guarded) const;

  ChildSignal child_signal_;
  PtraceGuard guard_;
  Backlog backlog_;
  std::optional<Tracer> tracer_;
  std::vector<int> descriptors_;
};

Result<InstallReport> PtraceCollector::install(const TargetScope& scope, const Plan& plan,
                                               const CollectorOptions& options) {
  if (tracer_)
    return fail(ErrorCode::wrong_state,
                "this ptrace collector is installed already; stop it first");
  SlotTable slots(native_debug_architecture());
  const auto reservation = slots.reserve(plan);
  if (!reservation) {
    return fail(reservation.error().code,
                "this range needs more debug registers than a thread has; watch fewer bytes");
  }
  // Whatever can fail comes before the first register.
  const auto cpus = possible_cpus();
  if (!cpus) return std::unexpected(cpus.error());
  if (auto opened = child_signal_.open(); !opened) return std::unexpected(opened.error());
  // Before the first register is set: nobody may be left without it. Going on without a guard is
  // said in the report.
  const bool guarded = guard_.start().has_value();
  guard_.add(scope.pid);
  tracer_.emplace(scope, plan, *reservation, options);
  auto installed = tracer_->attach();
  if (installed) installed = prepare_threads();
  if (!installed) {
    Backlog nobody;
    stop(nobody);
    return std::unexpected(installed.error());
  }
  descriptors_ = {child_signal_.descriptor()};
  return report(*cpus, plan, guarded);
}

Result<void> PtraceCollector::prepare_threads() {
  GuardedSink sink(backlog_, guard_);
  const std::uint64_t deadline = now_ms() + kStopDeadlineMs;
  while (tracer_->unprepared_count() != 0 && now_ms() < deadline) {
    child_signal_.consume();
    const bool busy = tracer_->handle_stops(sink);
    if (tracer_->failure()) return std::unexpected(*tracer_->failure());
    if (!busy) child_signal_.wait();
  }
  if (tracer_->empty())
    return fail(ErrorCode::target_gone, "the target ended while it was being prepared");
  return {};
}

InstallReport PtraceCollector::report(const CpuSet& cpus, const Plan& plan, bool guarded) const {
  InstallReport result;
  result.cpus = cpus;
  result.threads = tracer_->thread_count();
  result.slots = plan.slots().size();
  result.sees_kernel_accesses = false;
  result.notes.emplace_back(
      "accesses made by system calls (read(2) into the variable, say) are not seen by ptrace");
  if (const std::size_t late = tracer_->unprepared_count(); late != 0) {
    result.notes.push_back(std::to_string(late) +
                           " of the threads sleep in the kernel and get their debug registers when "
                           "they return from it, before they run on");
  }
  if (!guarded) {
    result.notes.emplace_back(
        "no guard process could be started: if trapline is killed, the next hit kills the target");
  }
  return result;
}

Result<Collector::Drained> PtraceCollector::drain(SampleSink& sink) {
  if (!tracer_) return Drained{.more_pending = false, .target_gone = true};
  backlog_.deliver(sink);
  // Before looking: a stop that comes while looking wakes the next poll.
  child_signal_.consume();
  GuardedSink guarded(sink, guard_);
  const bool more = tracer_->handle_stops(guarded);
  if (tracer_->failure()) {
    const Failure failure = *tracer_->failure();
    tracer_->forget_failure();
    return std::unexpected(failure);
  }
  return Drained{.more_pending = more, .target_gone = tracer_->empty()};
}

void PtraceCollector::release_threads(SampleSink& sink) {
  tracer_->begin_release();
  const std::uint64_t deadline = now_ms() + kStopDeadlineMs;
  while (!tracer_->released() && now_ms() < deadline) {
    child_signal_.consume();
    if (!tracer_->handle_stops(sink) && !tracer_->released()) child_signal_.wait();
  }
}

void PtraceCollector::stop(SampleSink& sink) {
  if (tracer_) {
    backlog_.deliver(sink);
    release_threads(sink);
    if (tracer_->released()) {
      guard_.dismiss();
    } else {
      // Threads that sleep in the kernel for longer.
      guard_.keep_until_exit();
    }
    tracer_.reset();
  }
  descriptors_.clear();
  child_signal_.close();
}

}  // namespace

std::unique_ptr<Collector> make_ptrace_collector() {
  return std::make_unique<PtraceCollector>();
}

}  // namespace trapline::linux_port
