#include "ports/linux/bpf/bpf_collector.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "ports/linux/bpf/bpf_events.h"
#include "ports/linux/bpf/bpf_filter.h"
#include "ports/linux/bpf/bpf_record_queue.h"
#include "ports/linux/bpf/bpf_records.h"
#include "ports/linux/bpf/bpf_tallies.h"
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

// As much as is read before the caller may look at its clock again.
constexpr std::size_t kRecordsPerDrain = 1024;
// How often what was tallied is read.
constexpr Nanoseconds kTallyInterval{250'000'000};
constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();
constexpr std::uint64_t kWordBytes = 8;
static_assert(TRAPLINE_MAX_SLOTS == kMaxPlanSlots);

// Values are of the whole watch where it fits a word, else of the slot that fired.
trapline_watch_config config_for(const TargetScope& scope, const Plan& plan,
                                 const CollectorOptions& options) {
  const auto slots = plan.slots();
  const bool one_value = plan.length().value <= kWordBytes;
  const bool reads_values = options.values && slots.front().access != Access::execute;
  trapline_watch_config config{};
  for (std::size_t index = 0; index < slots.size(); ++index) {
    const SlotRequest& slot = slots[index];
    const SlotRequest& first = one_value ? slots.front() : slot;
    config.slots[index] = {.address = slot.address.value(),
                           .value_address = first.address.value(),
                           .value_length = static_cast<std::uint32_t>(
                               one_value ? plan.length().value : slot.length.value),
                           .shadow = one_value ? 0U : static_cast<std::uint32_t>(index)};
  }
  config.slot_count = static_cast<std::uint32_t>(slots.size());
  config.pid = static_cast<std::uint32_t>(scope.pid.value);
  config.watcher_pid = static_cast<std::uint32_t>(::getpid());
  config.wakeup_bytes = static_cast<std::uint32_t>(options.ring_bytes.value / 8);
  config.follows_children = scope.follow_children ? 1 : 0;
  config.reads_values = reads_values ? 1 : 0;
  config.walks_stack = options.stack == StackMode::frame_pointer ? 1 : 0;
  config.filter = bpf_filter_for(options.conditions);
  // What the programs cannot judge goes to the reader.
  config.tallies_hits =
      options.tally_order && options.conditions.size() <= TRAPLINE_MAX_CONDITIONS ? 1 : 0;
  config.value_order = static_cast<std::uint32_t>(options.tally_order.value_or(ValueOrder::none));
  return config;
}

// One ring has to hold what those of all CPUs would.
ByteCount bytes_for_all_cpus(ByteCount for_each) {
  constexpr std::uint64_t kMost = 64ULL * 1024 * 1024;
  const auto cpus = online_cpus();
  const std::uint64_t count = std::bit_ceil(std::uint64_t{cpus ? cpus->count() : 1});
  return ByteCount{std::min(for_each.value * count, std::max(kMost, for_each.value))};
}

// With as large a ring as there is memory for.
Result<BpfWatchPrograms> load_programs(const TargetScope& scope, const Plan& plan,
                                       CollectorOptions options) {
  constexpr std::uint64_t kLeastBytes = 4096;
  options.ring_bytes = bytes_for_all_cpus(options.ring_bytes);
  while (true) {
    auto programs = BpfWatchPrograms::load(config_for(scope, plan, options), options.ring_bytes,
                                           BpfWatchPrograms::Told::hits_and_tasks);
    if (programs || programs.error().error.code != ErrorCode::limit_reached ||
        options.ring_bytes.value <= kLeastBytes)
      return programs;
    options.ring_bytes.value /= 2;
  }
}

std::optional<BpfTallies> tallies_for(const trapline_watch_config& config) {
  if (config.tallies_hits == 0) return std::nullopt;
  return BpfTallies(static_cast<ValueOrder>(config.value_order),
                    std::span(config.slots).first(config.slot_count));
}

// A watch that is installed.
class Session {
 public:
  struct Installed {
    FollowedTarget target;
    std::unique_ptr<BpfWatchPrograms> programs;
    BpfEvents events;  // borrows the programs
  };
  Session(const TargetScope& scope, const Plan& plan, const CollectorOptions& options,
          Installed installed)
      : scope_(scope),
        plan_(plan),
        installed_(std::move(installed)),
        builder_(plan, options),
        rejects_(!options.conditions.empty()),
        tallies_(tallies_for(installed_.programs->config())) {
    refresh_descriptors();
  }

  [[nodiscard]] std::span<const int> descriptors() const { return descriptors_; }
  Collector::Drained drain(SampleSink& sink);
  void finish(SampleSink& sink);

  // For FollowedTarget. An event without a ring does not tell by itself (kernel/events/core.c,
  // perf_poll). An exec is recorded.
  [[nodiscard]] bool is_hung_up() const;

 private:
  void handle(std::span<const std::byte> record, SampleSink& sink);
  void handle_task(const BpfTask& task, SampleSink& sink);
  [[nodiscard]] bool is_born_incomplete(const BpfTask& birth) const;
  // Watches whoever turned out not to be.
  void look_again(SampleSink& sink);
  void tell_losses(SampleSink& sink);
  void tell_rejections(SampleSink& sink);
  void tell_tallies(SampleSink& sink);
  // Hits for which no program ran.
  void tell_missed(SampleSink& sink);
  void refresh_descriptors();

  TargetScope scope_;
  Plan plan_;
  Installed installed_;
  BpfRecordQueue queue_;
  PerfSampleBuilder builder_;
  bool rejects_;  // hits that fail a condition do not come out of the ring
  std::uint64_t told_rejections_ = 0;
  std::optional<BpfTallies> tallies_;  // hits like others do not, either
  Nanoseconds next_tallies_;
  BpfWatchPrograms::Counters told_;
  bool wants_look_ = false;
  std::vector<int> descriptors_;
  BpfHit hit_;  // reused
};

Collector::Drained Session::drain(SampleSink& sink) {
  const Nanoseconds now = monotonic_now();
  FollowedTarget& target = installed_.target;
  target.check(now, *this);
  const Nanoseconds until =
      target.seems_gone() ? PerfRingSet::kForever : PerfRingSet::settled_before(now);
  Collector::Drained result;
  // Before the hits: the one that ends the watch may be among them.
  tell_rejections(sink);
  result.more_pending =
      queue_.read(*installed_.programs, until, kRecordsPerDrain,
                  [&](std::span<const std::byte> record) { handle(record, sink); });
  if (!result.more_pending) {
    tell_losses(sink);
    if (wants_look_) look_again(sink);
    if (tallies_ && (now >= next_tallies_ || target.seems_gone())) {
      tell_tallies(sink);
      next_tallies_ = Nanoseconds{now.value + kTallyInterval.value};
    }
    target.deliver_events(sink);
    result.target_gone = target.is_gone(*this);
  }
  refresh_descriptors();
  return result;
}

void Session::finish(SampleSink& sink) {
  installed_.events.disable();
  tell_rejections(sink);
  queue_.read(*installed_.programs, PerfRingSet::kForever, kNoLimit,
              [&](std::span<const std::byte> record) { handle(record, sink); });
  tell_losses(sink);
  if (tallies_) tell_tallies(sink);
  tell_missed(sink);
  installed_.target.check_finally();
  installed_.target.deliver_events(sink);
}

void Session::handle(std::span<const std::byte> record, SampleSink& sink) {
  if (decode_bpf_hit(record, plan_.slots(), hit_)) {
    auto sample = builder_.build(hit_.sample, hit_.comm);
    if (!sample) return;
    sample->hit.old_value = hit_.old_value;
    sample->hit.new_value = hit_.new_value;
    // Memory is not read later: what it held at the hit has come along.
    sample->is_newest = false;
    sample->follows_undelivered = (rejects_ || tallies_) && !hit_.is_first;
    if (tallies_ && hit_.opens_tally) sample->tally = tallies_->open(*hit_.opens_tally);
    sink.on_sample(*sample);
  } else if (const auto task = decode_bpf_task(record)) {
    handle_task(*task, sink);
  }
}

void Session::handle_task(const BpfTask& task, SampleSink& sink) {
  switch (task.event) {
    case BpfTaskEvent::fork:
      wants_look_ = wants_look_ || is_born_incomplete(task);
      installed_.target.forked(task.task, sink);
      break;
    case BpfTaskEvent::exit:
      if (tallies_) tallies_->thread_ended(task.task.tid);
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

bool Session::is_hung_up() const {
  if (!scope_.only_thread) return false;
  const auto status = read_status(scope_.pid, *scope_.only_thread);
  return !status || status->has_ended();
}

bool Session::is_born_incomplete(const BpfTask& birth) const {
  if (scope_.only_thread) return false;
  const bool is_followed = birth.task.pid == birth.task.parent_pid || scope_.follow_children;
  return is_followed && installed_.events.is_incomplete(birth.watched_slots);
}

void Session::look_again(SampleSink& sink) {
  wants_look_ = false;
  const auto watched = installed_.events.watch_all();
  if (!watched || watched->was_incomplete || !watched->notes.empty()) sink.on_lost_uncounted();
}

void Session::tell_losses(SampleSink& sink) {
  const auto counters = installed_.programs->counters();
  if (counters.lost_hits != told_.lost_hits || counters.lost_tasks != told_.lost_tasks)
    sink.on_gap();
  if (counters.lost_hits != told_.lost_hits) sink.on_lost(counters.lost_hits - told_.lost_hits);
  // A birth may be among them.
  wants_look_ = wants_look_ || counters.lost_tasks != told_.lost_tasks;
  told_ = counters;
}

void Session::tell_rejections(SampleSink& sink) {
  if (!rejects_) return;
  const auto counts = installed_.programs->hit_counts();
  if (!counts || counts->rejected == told_rejections_) return;
  sink.on_rejected(counts->rejected - told_rejections_);
  told_rejections_ = counts->rejected;
}

void Session::tell_tallies(SampleSink& sink) {
  const auto tallies = installed_.programs->tallies();
  if (!tallies) {
    sink.on_lost_uncounted();
    return;
  }
  installed_.programs->remove_tallies(tallies_->tell(*tallies, sink));
}

void Session::tell_missed(SampleSink& sink) {
  // A watch for reads counts what the programs themselves read, and no program runs then.
  if (plan_.slots().front().access == Access::read_write) return;
  const PerfHitTotal counted = installed_.events.total();
  const auto handled = installed_.programs->hit_counts();
  if (!counted.is_complete || !handled) {
    sink.on_lost_uncounted();
  } else if (counted.hits > handled->runs) {
    sink.on_gap();
    sink.on_lost(counted.hits - handled->runs);
  }
}

void Session::refresh_descriptors() {
  descriptors_ = installed_.target.descriptors();
  descriptors_.push_back(installed_.programs->descriptor());
}

std::vector<perf_event_attr> attributes_of(const Plan& plan, const PerfEventOptions& allowed) {
  std::vector<perf_event_attr> attributes;
  for (const SlotRequest& slot : plan.slots())
    attributes.push_back(breakpoint_attributes(slot, allowed));
  return attributes;
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

class BpfCollector final : public PerfSessionCollector<Session> {
 public:
  [[nodiscard]] std::string_view name() const override { return "bpf"; }
  [[nodiscard]] Result<InstallReport> install(const TargetScope& scope, const Plan& plan,
                                              const CollectorOptions& options) override;
};

Result<InstallReport> BpfCollector::install(const TargetScope& scope, const Plan& plan,
                                            const CollectorOptions& options) {
  if (session_)
    return fail(ErrorCode::wrong_state,
                "a collector installs one watch: make another collector for another watch");
  if (plan.slots().empty())
    return fail(ErrorCode::empty_range, "there is nothing to watch: ask for at least one byte");
  if (auto safe = programs_on_breakpoints_are_safe(); !safe)
    return std::unexpected(std::move(safe.error()));
  if (options.stack == StackMode::dwarf)
    return fail(ErrorCode::not_supported,
                "collector bpf takes no copies of stacks (--stack dwarf): use --collector perf");
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
  auto loaded = load_programs(scope, plan, options);
  if (!loaded) return std::unexpected(std::move(loaded.error()));
  auto programs = std::make_unique<BpfWatchPrograms>(*std::move(loaded));
  raise_descriptor_limit();
  BpfEvents events(*programs, attributes_of(plan, *allowed),
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
  if (!programs->tells_code_maps())
    report.notes.emplace_back(
        "code of libraries that the target loads from now on may come out without names: this "
        "kernel lets no program see it mapped");
  session_ = std::make_unique<Session>(
      scope, plan, options,
      Session::Installed{*std::move(target), std::move(programs), std::move(events)});
  return report;
}

}  // namespace

std::unique_ptr<Collector> make_bpf_collector() {
  return std::make_unique<BpfCollector>();
}

}  // namespace trapline::linux_port
