#include "ports/linux/bpf/bpf_collector.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "ports/linux/bpf/bpf_config.h"
#include "ports/linux/bpf/bpf_events.h"
#include "ports/linux/bpf/bpf_output.h"
#include "ports/linux/bpf/bpf_records.h"
#include "ports/linux/bpf/bpf_watch_programs.h"
#include "ports/linux/followed_target.h"
#include "ports/linux/monotonic_clock.h"
#include "ports/linux/perf_event.h"
#include "ports/linux/perf_negotiation.h"
#include "ports/linux/perf_ring_set.h"
#include "ports/linux/perf_sample_builder.h"
#include "ports/linux/perf_session_collector.h"
#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {
namespace {

trapline_watch_config config_for(const TargetScope& scope, const Plan& plan,
                                 const CollectorOptions& options) {
  trapline_watch_config config = bpf_config_for(options);
  const auto slots = bpf_slots_for(plan);
  std::ranges::copy(slots, config.slots);
  config.slot_count = static_cast<std::uint32_t>(slots.size());
  config.pid = static_cast<std::uint32_t>(scope.pid.value);
  config.follows_children = scope.follow_children ? 1 : 0;
  if (plan.slots().front().access == Access::execute) config.reads_values = 0;
  return config;
}

// A watch that is installed.
class BpfSession {
 public:
  struct Installed {
    FollowedTarget target;
    BpfOutput output;
    BpfEvents events;  // borrows the programs
  };
  BpfSession(const TargetScope& scope, const Plan& plan, const CollectorOptions& options,
             Installed installed)
      : scope_(scope), plan_(plan), installed_(std::move(installed)), builder_(plan, options) {
    refresh_descriptors();
  }

  [[nodiscard]] std::span<const int> descriptors() const { return descriptors_; }
  Collector::Drained drain(SampleSink& sink);
  void finish(SampleSink& sink);

  // For FollowedTarget. An event without a ring does not tell by itself (kernel/events/core.c,
  // perf_poll). An exec is recorded.
  [[nodiscard]] bool is_hung_up() const;

 private:
  // True if it stopped at `limit`.
  bool deliver(SampleSink& sink, Nanoseconds until, std::size_t limit);
  void handle_task(const BpfTask& task, SampleSink& sink);
  [[nodiscard]] bool is_born_incomplete(const BpfTask& birth) const;
  // Watches whoever turned out not to be.
  void look_again(SampleSink& sink);
  void tell_losses(SampleSink& sink);
  void refresh_descriptors();

  TargetScope scope_;
  Plan plan_;
  Installed installed_;
  PerfSampleBuilder builder_;
  bool wants_look_ = false;
  std::vector<int> descriptors_;
};

Collector::Drained BpfSession::drain(SampleSink& sink) {
  const Nanoseconds now = monotonic_now();
  FollowedTarget& target = installed_.target;
  target.check(now, *this);
  const Nanoseconds until =
      target.seems_gone() ? PerfRingSet::kForever : PerfRingSet::settled_before(now);
  Collector::Drained result;
  installed_.output.tell_rejections(sink);
  result.more_pending = deliver(sink, until, BpfOutput::kRecordsPerDrain);
  if (!result.more_pending) {
    tell_losses(sink);
    if (wants_look_) look_again(sink);
    if (target.seems_gone()) {
      installed_.output.tell_tallies(sink);
    } else {
      installed_.output.tell_tallies_if_due(sink, now);
    }
    target.deliver_events(sink);
    result.target_gone = target.is_gone(*this);
  }
  refresh_descriptors();
  return result;
}

void BpfSession::finish(SampleSink& sink) {
  installed_.events.disable();
  installed_.output.tell_rejections(sink);
  deliver(sink, PerfRingSet::kForever, BpfOutput::kNoLimit);
  tell_losses(sink);
  installed_.output.tell_tallies(sink);
  // A watch for reads counts what the programs themselves read, and no program runs then.
  if (plan_.slots().front().access != Access::read_write)
    installed_.output.tell_missed(sink, installed_.events.total());
  installed_.target.check_finally();
  installed_.target.deliver_events(sink);
}

bool BpfSession::deliver(SampleSink& sink, Nanoseconds until, std::size_t limit) {
  return installed_.output.deliver(
      sink, until, limit, [&](const BpfHit& hit) { return builder_.build(hit.sample, hit.comm); },
      [&](const BpfTask& task) { handle_task(task, sink); });
}

void BpfSession::handle_task(const BpfTask& task, SampleSink& sink) {
  switch (task.event) {
    case BpfTaskEvent::fork:
      wants_look_ = wants_look_ || is_born_incomplete(task);
      installed_.target.forked(task.task, sink);
      break;
    case BpfTaskEvent::exit:
      installed_.target.exited(task.task, sink);
      break;
    case BpfTaskEvent::exec:
      installed_.target.executed(task.task.pid);
      break;
    case BpfTaskEvent::code_map:
      sink.on_event(
          {.kind = TargetEvent::Kind::code_mapped, .pid = task.task.pid, .tid = task.task.tid});
      break;
  }
}

bool BpfSession::is_hung_up() const {
  if (!scope_.only_thread) return false;
  const auto status = read_status(scope_.pid, *scope_.only_thread);
  return !status || status->has_ended();
}

bool BpfSession::is_born_incomplete(const BpfTask& birth) const {
  if (scope_.only_thread) return false;
  const bool is_followed = birth.task.pid == birth.task.parent_pid || scope_.follow_children;
  return is_followed && installed_.events.is_incomplete(birth.watched_slots);
}

void BpfSession::look_again(SampleSink& sink) {
  wants_look_ = false;
  const auto watched = installed_.events.watch_all();
  if (!watched) wants_look_ = true;  // those behind the error are not watched yet
  if (!watched || watched->was_incomplete || !watched->notes.empty()) sink.on_lost_uncounted();
}

void BpfSession::tell_losses(SampleSink& sink) {
  // A birth may be among them.
  if (installed_.output.tell_losses(sink)) wants_look_ = true;
}

void BpfSession::refresh_descriptors() {
  descriptors_ = installed_.target.descriptors();
  descriptors_.push_back(installed_.output.programs().descriptor());
}

// Errors: as Collector::install.
Result<BpfEvents::Watched> watch(const TargetScope& scope, const Plan& plan, BpfEvents& events) {
  if (!scope.only_thread) {
    auto watched = events.watch_all();
    if (watched && watched->threads == 0)
      return std::unexpected(
          explain_thread_error(scope, plan, ThreadId{scope.pid.value}, {ESRCH, 0}));
    return watched;
  }
  if (auto done = events.watch_thread(*scope.only_thread); !done)
    return std::unexpected(std::move(done.error()));
  return BpfEvents::Watched{.threads = 1, .notes = {}};
}

class BpfCollector final : public PerfSessionCollector<BpfSession> {
 public:
  [[nodiscard]] std::string_view name() const override { return "bpf"; }
  [[nodiscard]] Result<InstallReport> install(const TargetScope& scope, const Plan& plan,
                                              const CollectorOptions& options) override;
};

Result<InstallReport> BpfCollector::install(const TargetScope& scope, const Plan& plan,
                                            const CollectorOptions& options) {
  if (auto unused = check_is_unused(); !unused) return std::unexpected(std::move(unused.error()));
  if (plan.slots().empty())
    return fail(ErrorCode::empty_range, "there is nothing to watch: ask for at least one byte");
  if (auto possible = bpf_can_do(options); !possible)
    return std::unexpected(std::move(possible.error()));
  auto target = FollowedTarget::open(scope);
  if (!target) return std::unexpected(std::move(target.error()));
  auto threads = threads_in(scope);
  if (!threads) return std::unexpected(std::move(threads.error()));

  PerfEventOptions wanted = wanted_options(scope, options);
  // The programs see to both.
  wanted.stack = StackMode::none;
  wanted.registers = false;
  const auto allowed = negotiate(*threads, wanted, scope, plan, std::nullopt);
  if (!allowed) return std::unexpected(allowed.error());
  if (!allowed->has_inherit_thread)
    return fail(ErrorCode::not_supported,
                "collector bpf needs Linux 5.15, and this kernel is older: use --collector perf");
  auto loaded = load_bpf_programs(config_for(scope, plan, options), options.ring_bytes);
  if (!loaded) return std::unexpected(std::move(loaded.error()));
  BpfOutput output(std::make_unique<BpfWatchPrograms>(*std::move(loaded)));
  raise_descriptor_limit();
  BpfEvents events(output.programs(), breakpoint_attributes(plan, *allowed),
                   [scope, plan](ThreadId tid, const SlotOpenError& error) {
                     return explain_thread_error(scope, plan, tid, error);
                   });
  auto watched = watch(scope, plan, events);
  if (!watched) return std::unexpected(std::move(watched.error()));
  auto cpus = possible_cpus();
  if (!cpus) return std::unexpected(std::move(cpus.error()));

  InstallReport report{.cpus = *cpus,
                       .threads = watched->threads,
                       .slots = plan.slots().size(),
                       .sees_kernel_accesses = allowed->kernel_accesses,
                       .notes = std::move(watched->notes)};
  add_negotiation_notes(*allowed, scope, report.notes);
  if (!output.programs().tells_code_maps()) report.notes.emplace_back(kNoCodeMapsNote);
  session_ = std::make_unique<BpfSession>(
      scope, plan, options,
      BpfSession::Installed{*std::move(target), std::move(output), std::move(events)});
  return report;
}

}  // namespace

std::unique_ptr<Collector> make_bpf_collector() {
  return std::make_unique<BpfCollector>();
}

}  // namespace trapline::linux_port
