#include "ports/linux/bpf/bpf_collector.h"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "ports/linux/bpf/bpf_records.h"
#include "ports/linux/bpf/bpf_watch_programs.h"
#include "ports/linux/followed_target.h"
#include "ports/linux/monotonic_clock.h"
#include "ports/linux/perf_attach.h"
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
// The same while threads are looked for.
constexpr std::size_t kRecordsPerLook = 16'384;
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
  config.wakeup_bytes = static_cast<std::uint32_t>(options.ring_bytes.value / 8);
  config.follows_children = scope.follow_children ? 1 : 0;
  config.reads_values = reads_values ? 1 : 0;
  config.walks_stack = options.stack == StackMode::frame_pointer ? 1 : 0;
  return config;
}

// With as large a ring as there is memory for.
Result<BpfWatchPrograms> load_programs(const TargetScope& scope, const Plan& plan,
                                       CollectorOptions options) {
  constexpr std::uint64_t kLeastBytes = 4096;
  while (true) {
    auto programs = BpfWatchPrograms::load(config_for(scope, plan, options), options.ring_bytes);
    if (programs || programs.error().error.code != ErrorCode::limit_reached ||
        options.ring_bytes.value <= kLeastBytes)
      return programs;
    options.ring_bytes.value /= 2;
  }
}

// The events of all threads, and the ring that their programs write into.
class BpfEvents final : public ThreadEvents {
 public:
  BpfEvents(BpfWatchPrograms programs, std::vector<perf_event_attr> attributes)
      : programs_(std::move(programs)), attributes_(std::move(attributes)) {}

  std::expected<Opened, OpenError> add(ThreadId tid, bool late) override {
    if (late) {
      if (auto noted = programs_.add_late_thread(tid); !noted) return refuse(noted.error());
    }
    constexpr std::size_t kAllCpusAtOnce = 1;
    const auto opened = open_thread_events(
        attributes_.size(), kAllCpusAtOnce, late,
        [&](std::size_t slot, std::size_t) { return open_one(tid, slot, late); });
    // What holds its registers is inherited, perhaps from an event that had no program yet.
    if (opened == Opened::doubles_refused)
      return refuse({{ErrorCode::not_supported, ENOSPC},
                     "threads start so fast that one has all debug registers taken by events that "
                     "may be without a program: use --collector perf"});
    return opened;
  }
  // Why add() refused, where it was not for an event.
  [[nodiscard]] const std::optional<Failure>& refusal() const { return refusal_; }

  // What is read here comes out of read() again. Births that are not come to are taken for late.
  void visit_births(const std::function<void(const TaskRecord&)>& visit) override {
    take(kRecordsPerLook, [&](std::span<const std::byte> record) {
      const auto task = decode_bpf_task(record);
      if (task && task->event == BpfTaskEvent::fork) visit(task->task);
    });
  }

  // Takes at most `limit` records out of the ring, and calls visit(record) for what was made at or
  // before `until`, in the order of time; true if there may be more in the ring. (A program takes
  // the time first and its place in the ring last, so the ring's order is not quite that of time.)
  template <typename Visitor>
  bool read(Nanoseconds until, std::size_t limit, Visitor visit) {
    const bool emptied = take(limit, [](std::span<const std::byte>) {});
    for (; !queue_.empty() && queue_.front().time <= until; queue_.pop_front())
      visit(std::span<const std::byte>(queue_.front().bytes));
    return !emptied;
  }

  // The latest first: a late thread's event stops before the inherited one that vouches for it.
  void disable() {
    std::for_each(events_.rbegin(), events_.rend(),
                  [](const PerfEvent& event) { event.disable(); });
  }
  [[nodiscard]] const BpfWatchPrograms& programs() const { return programs_; }

 private:
  std::unexpected<OpenError> refuse(Failure reason) {
    refusal_ = std::move(reason);
    return std::unexpected(OpenError{refusal_->error.os_errno, 0});
  }
  std::expected<void, int> open_one(ThreadId tid, std::size_t slot, bool late) {
    auto event = PerfEvent::open(attributes_[slot], tid, std::nullopt);
    if (!event) return std::unexpected(event.error());
    if (auto set = event->set_program(programs_.hit_program(late)); !set) return set;
    if (auto enabled = event->enable(); !enabled) return enabled;
    events_.push_back(*std::move(event));
    return {};
  }

  // Moves at most `limit` records from the ring into the queue, and shows each to look(record).
  // False if it stopped at the limit.
  template <typename Visitor>
  bool take(std::size_t limit, Visitor look) {
    return programs_.read([&](std::span<const std::byte> record) {
      if (const auto time = time_of_bpf_record(record)) {
        const auto place = std::ranges::upper_bound(queue_, *time, {}, &Queued::time);
        queue_.insert(place, {*time, {record.begin(), record.end()}});
        look(record);
      }
      return --limit != 0;
    });
  }

  struct Queued {
    Nanoseconds time;
    std::vector<std::byte> bytes;
  };

  BpfWatchPrograms programs_;
  std::vector<perf_event_attr> attributes_;  // by slot
  std::vector<PerfEvent> events_;
  std::deque<Queued> queue_;  // out of the ring, by time
  std::optional<Failure> refusal_;
};

// A watch that is installed.
class Session {
 public:
  Session(const TargetScope& scope, const Plan& plan, const CollectorOptions& options,
          FollowedTarget target, std::unique_ptr<BpfEvents> events)
      : scope_(scope),
        plan_(plan),
        target_(std::move(target)),
        events_(std::move(events)),
        builder_(plan, options) {
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
  void tell_losses(SampleSink& sink);
  void refresh_descriptors();

  TargetScope scope_;
  Plan plan_;
  FollowedTarget target_;
  std::unique_ptr<BpfEvents> events_;
  PerfSampleBuilder builder_;
  BpfWatchPrograms::Counters told_;
  std::vector<int> descriptors_;
  BpfHit hit_;  // reused
};

Collector::Drained Session::drain(SampleSink& sink) {
  const Nanoseconds now = monotonic_now();
  target_.check(now, *this);
  const Nanoseconds until =
      target_.seems_gone() ? PerfRingSet::kForever : PerfRingSet::settled_before(now);
  Collector::Drained result;
  result.more_pending = events_->read(
      until, kRecordsPerDrain, [&](std::span<const std::byte> record) { handle(record, sink); });
  if (!result.more_pending) {
    tell_losses(sink);
    target_.deliver_events(sink);
    result.target_gone = target_.is_gone(*this);
  }
  refresh_descriptors();
  return result;
}

void Session::finish(SampleSink& sink) {
  events_->disable();
  events_->read(PerfRingSet::kForever, kNoLimit,
                [&](std::span<const std::byte> record) { handle(record, sink); });
  tell_losses(sink);
  target_.check_finally();
  target_.deliver_events(sink);
}

void Session::handle(std::span<const std::byte> record, SampleSink& sink) {
  if (decode_bpf_hit(record, plan_.slots(), hit_)) {
    auto sample = builder_.build(hit_.sample, hit_.comm);
    if (!sample) return;
    sample->hit.old_value = hit_.old_value;
    sample->hit.new_value = hit_.new_value;
    // Memory is not read later: what it held at the hit has come along.
    sample->is_newest = false;
    sink.on_sample(*sample);
  } else if (const auto task = decode_bpf_task(record)) {
    handle_task(*task, sink);
  }
}

void Session::handle_task(const BpfTask& task, SampleSink& sink) {
  switch (task.event) {
    case BpfTaskEvent::fork:
      target_.forked(task.task, sink);
      break;
    case BpfTaskEvent::exit:
      target_.exited(task.task, sink);
      break;
    case BpfTaskEvent::exec:
      target_.executed(task.task.pid);
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

void Session::tell_losses(SampleSink& sink) {
  const auto counters = events_->programs().counters();
  if (counters.lost_hits != told_.lost_hits || counters.lost_tasks != told_.lost_tasks)
    sink.on_gap();
  if (counters.lost_hits != told_.lost_hits) sink.on_lost(counters.lost_hits - told_.lost_hits);
  told_ = counters;
}

void Session::refresh_descriptors() {
  descriptors_ = target_.descriptors();
  descriptors_.push_back(events_->programs().descriptor());
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
  auto programs = load_programs(scope, plan, options);
  if (!programs) return std::unexpected(std::move(programs.error()));

  std::vector<perf_event_attr> attributes;
  for (const SlotRequest& slot : plan.slots())
    attributes.push_back(breakpoint_attributes(slot, *allowed));
  raise_descriptor_limit();
  auto events = std::make_unique<BpfEvents>(*std::move(programs), std::move(attributes));
  auto attached =
      attach_threads(scope, *events, [&](ThreadId tid, const ThreadEvents::OpenError& error) {
        if (events->refusal()) return *events->refusal();
        return explain_thread_error(scope, plan, tid, error);
      });
  if (!attached) return std::unexpected(std::move(attached.error()));
  auto cpus = possible_cpus();
  if (!cpus) return std::unexpected(std::move(cpus.error()));

  InstallReport report{.cpus = *cpus,
                       .threads = attached->threads,
                       .slots = plan.slots().size(),
                       .sees_kernel_accesses = allowed->kernel_accesses,
                       .notes = std::move(attached->notes)};
  add_negotiation_notes(*allowed, scope, report.notes);
  if (!events->programs().tells_code_maps())
    report.notes.emplace_back(
        "code of libraries that the target loads from now on may come out without names: this "
        "kernel lets no program see it mapped");
  session_ = std::make_unique<Session>(scope, plan, options, *std::move(target), std::move(events));
  return report;
}

}  // namespace

std::unique_ptr<Collector> make_bpf_collector() {
  return std::make_unique<BpfCollector>();
}

}  // namespace trapline::linux_port
