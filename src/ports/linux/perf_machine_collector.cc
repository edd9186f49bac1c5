#include "ports/linux/perf_machine_collector.h"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ports/linux/monotonic_clock.h"
#include "ports/linux/perf_cpu_births.h"
#include "ports/linux/perf_cpu_rings.h"
#include "ports/linux/perf_cpu_watch.h"
#include "ports/linux/perf_loss.h"
#include "ports/linux/perf_ring_set.h"
#include "ports/linux/perf_sample_builder.h"
#include "ports/linux/perf_session_collector.h"
#include "ports/linux/proc_fs.h"
#include "ports/linux/slot_holders.h"
#include "trapline/linux/cpu_hotplug.h"

namespace trapline::linux_port {
namespace {

// How long a CPU may go unwatched without an event that tells of it.
constexpr Nanoseconds kCpuLookInterval{250'000'000};
// The time for which an event is enabled grows by something in this while, unless it is dead.
constexpr Nanoseconds kSignOfLifeInterval{5'000'000};

PerfEventOptions event_options(const CollectorOptions& options) {
  PerfEventOptions wanted;
  wanted.inheritance = Inheritance::none;
  wanted.has_inherit_thread = false;
  wanted.stack = options.stack;
  wanted.registers = options.registers;
  wanted.dwarf_stack_bytes = options.dwarf_stack_bytes;
  return wanted;
}

std::vector<perf_event_attr> attributes_of(const Plan& plan, const PerfEventOptions& options) {
  std::vector<perf_event_attr> attributes;
  for (const SlotRequest& slot : plan.slots())
    attributes.push_back(breakpoint_attributes(slot, options));
  return attributes;
}

std::string with_holders(const std::string& sentence) {
  const std::string holders = describe_holders(find_slot_holders(std::nullopt));
  return sentence + (holders.empty() ? "" : " Seen on this machine: " + holders + ".");
}

Failure cannot_set_up(Error error) {
  return {error, "the watch cannot follow CPUs (" + std::string(name_of(error.code)) + ")"};
}

// Why a plan is not set. To be put into words where nobody waits: that may look at all processes.
struct Obstacle {
  CpuId cpu{};
  PerfCpuWatch::Refusal refusal;
  Plan plan;                      // empty: the records of tasks
  std::optional<Error> no_state;  // instead: the hotplug state failed
};

Failure explain(const Obstacle& obstacle) {
  if (obstacle.no_state) return cannot_set_up(*obstacle.no_state);
  const auto& [cpu, refusal, plan, no_state] = obstacle;
  const std::string number = std::to_string(cpu.value);
  const std::string paranoid = std::to_string(perf_event_paranoid().value_or(0));
  switch (refusal.error) {
    case ENOSPC:
      return {{ErrorCode::no_free_slot, ENOSPC},
              with_holders("too few free debug registers on CPU " + number + ": the watch needs " +
                           std::to_string(plan.slots().size()) +
                           " on every CPU, beside the most that any one thread holds; close the "
                           "debugger or profiler that has them, or watch a process with -p PID.")};
    case EACCES:
    case EPERM:
      return {
          {ErrorCode::permission_denied, refusal.error},
          "watching the whole machine needs CAP_PERFMON, and CAP_SYS_ADMIN for a kernel address "
          "(kernel.perf_event_paranoid is " +
              paranoid + "): run as root, or watch a process of yours with -p PID"};
    case ENODEV:
      return {{ErrorCode::interrupted, ENODEV},
              "CPU " + number + " went offline before the watch could be set there"};
    default: {
      const OpenContext context{
          .pid = {},
          .tid = {},
          .slot = plan.slots().empty() ? SlotRequest{} : plan.slots()[refusal.slot],
          .slots = plan.slots().size(),
          .paranoid = perf_event_paranoid(),
          .perf_works_on_oneself = true};
      Failure failure = explain_open_error(refusal.error, context);
      failure.message = "CPU " + number + ": " + failure.message;
      return failure;
    }
  }
}

CpuEvent event_of(CpuId cpu, CpuEvent::Kind kind, Nanoseconds time) {
  CpuEvent event;
  event.cpu = cpu;
  event.kind = kind;
  event.time = time;
  return event;
}

// What is still to be told of CPUs. Filled by hotplug callbacks, emptied by the collector's thread.
class CpuEventQueue {
 public:
  // `obstacle`: the CPU is online and not watched.
  void push(CpuEvent event, std::optional<Obstacle> obstacle = {}) {
    const std::lock_guard lock(mutex_);
    entries_.push_back({std::move(event), obstacle});
  }
  // The oldest, if it is not younger than `until`. May take some milliseconds to say why a CPU is
  // not watched; meanwhile others may push.
  [[nodiscard]] std::optional<CpuEvent> pop(Nanoseconds until) {
    auto entry = pop_entry(until);
    if (!entry) return std::nullopt;
    if (entry->obstacle) {
      entry->event.watched = false;
      entry->event.reason = explain(*entry->obstacle).message;
    }
    return std::move(entry->event);
  }
  [[nodiscard]] std::optional<Nanoseconds> oldest() {
    const std::lock_guard lock(mutex_);
    return entries_.empty() ? std::nullopt : std::optional(entries_.front().event.time);
  }

 private:
  struct Entry {
    CpuEvent event;
    std::optional<Obstacle> obstacle;
  };
  [[nodiscard]] std::optional<Entry> pop_entry(Nanoseconds until) {
    const std::lock_guard lock(mutex_);
    if (entries_.empty() || entries_.front().event.time > until) return std::nullopt;
    Entry entry = std::move(entries_.front());
    entries_.pop_front();
    return entry;
  }

  std::mutex mutex_;  // guards the queue
  std::deque<Entry> entries_;
};

// Whether any of the process's threads still runs; the first one may have ended before others.
bool has_live_thread(ProcessId pid) {
  const auto threads = list_threads(pid);
  if (!threads) return false;
  return std::ranges::any_of(*threads, [&](ThreadId tid) {
    const auto status = read_status(pid, tid);
    return status && !status->has_ended();
  });
}

// A plan that is set everywhere.
struct SetPlan {
  SetPlan(const PerfCpuRings& rings, const Plan& wanted, const CollectorOptions& options)
      : plan(wanted),
        watch(rings, attributes_of(wanted, event_options(options))),
        builder(wanted, options) {}

  Plan plan;
  PerfCpuWatch watch;
  PerfSampleBuilder builder;
  std::optional<Nanoseconds> removed_at;  // nothing it recorded is younger
};

// What is known of a CPU that came, went or could not be watched.
struct Life {
  Nanoseconds told_until;                      // what was missed on it before is told, if anything
  std::optional<Nanoseconds> unwatched_since;  // it is online, and refuses
};

class Session {
 public:
  Session(std::unique_ptr<CpuHotplug> hotplug, PerfCpuRings rings, const CpuSet& possible,
          const CollectorOptions& options)
      : options_(options),
        format_(breakpoint_attributes(SlotRequest{}, event_options(options))),
        rings_(std::move(rings)),
        tasks_(rings_, {task_attributes(format_)}),
        births_(possible),
        layout_(layout_of(format_)),
        ring_set_(layout_),
        hotplug_(std::move(hotplug)) {
    for (PerfRing& ring : rings_.rings()) ring_set_.add(ring.reader());
    descriptors_ = rings_.descriptors();
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { uninstall(); }

  // The records of tasks, the first plan, and what reports CPUs that come and go; no CPU does so in
  // between.
  [[nodiscard]] Result<InstallReport> install(const Plan& plan) {
    InstallReport report;
    if (auto set_up = set_up_states(plan, report); !set_up)
      return std::unexpected(explain(set_up.error()));
    report.slots = plan.slots().size();
    report.sees_kernel_accesses = true;
    if (!hotplug_->hears_events())
      report.notes.emplace_back(
          "the kernel's CPU events cannot be heard here: a CPU that comes online is noticed up "
          "to " +
          std::to_string(CpuHotplug::kReconcileWithoutEvents.value / 1'000'000) + " ms later");
    return report;
  }

  [[nodiscard]] Result<void> add(const Plan& plan) {
    if (auto added = add_to_cpus(plan); !added) return std::unexpected(explain(added.error()));
    return {};
  }

  void remove(const Plan& plan) {
    auto& machine = hotplug_->machine();
    const std::shared_lock cpus(machine.online_cpus());
    for (SetPlan& set : plans_) {
      if (!set.watch.is_added() || !std::ranges::equal(set.plan.slots(), plan.slots())) continue;
      // What fails here is closing events, which cannot.
      std::ignore = machine.remove_instance_cpuslocked(watch_state_, set.watch);
      set.removed_at = monotonic_now();
    }
  }

  [[nodiscard]] std::span<const int> descriptors() const { return descriptors_; }

  Collector::Drained drain(SampleSink& sink) {
    const Nanoseconds now = monotonic_now();
    const Nanoseconds settled = PerfRingSet::settled_before(now);
    look_after_cpus(now);
    Collector::Drained result;
    result.more_pending = deliver(sink, settled, PerfRingSet::kPerDrain);
    tell_ended_processes(sink);
    if (!result.more_pending) {
      settle_losses(sink, settled);
      drop_removed_plans(settled);
    }
    return result;
  }

  void finish(SampleSink& sink) {
    // A CPU that has just gone or come, and has not been heard of.
    std::ignore = hotplug_->reconcile();
    look_a_last_time();
    uninstall();
    deliver(sink, PerfRingSet::kForever, PerfRingSet::kNoLimits);
    const PerfHitTotal all = total();
    if (const std::uint64_t lost = loss_.settle_exactly(all.hits); lost != 0) sink.on_lost(lost);
    if (!all.is_complete) sink.on_lost_uncounted();
  }

 private:
  using Outcome = std::expected<void, Obstacle>;

  static std::unexpected<Obstacle> no_state(Error error) {
    return std::unexpected(Obstacle{.cpu = {}, .refusal = {}, .plan = {}, .no_state = error});
  }

  [[nodiscard]] Outcome set_up_states(const Plan& plan, InstallReport& report) {
    auto& machine = hotplug_->machine();
    const std::shared_lock cpus(machine.online_cpus());
    auto watched = machine.setup_state_multi_cpuslocked(
        {.name = "trapline/watch:online",
         .placement = hotplug::Placement::fixed(hotplug::Section::online, 0),
         .startup = hotplug::instance_method<&PerfCpuWatch::install>,
         .teardown = hotplug::instance_method<&PerfCpuWatch::remove>});
    if (!watched) return no_state(watched.error());
    watch_state_ = *std::move(watched);
    if (auto added = set_everywhere(tasks_, Plan{}); !added) return added;
    if (!plan.slots().empty()) {
      if (auto added = add_locked(plan); !added) return added;
    }
    // After all watches on the way up, before them on the way down.
    auto reported = machine.setup_state_nocalls_cpuslocked(
        {.name = "trapline/watch:report",
         .placement = hotplug::Placement::fixed(hotplug::Section::online, 1),
         .startup = hotplug::method<&Session::report_online>,
         .teardown = hotplug::method<&Session::report_offline>,
         .object = this});
    if (!reported) return no_state(reported.error());
    report_state_ = *std::move(reported);
    report.cpus = machine.online_cpus().cpus();
    enabled_times_ = tasks_.enabled_times();
    last_look_ = monotonic_now();
    return {};
  }

  [[nodiscard]] Outcome add_to_cpus(const Plan& plan) {
    const std::shared_lock cpus(hotplug_->machine().online_cpus());
    return add_locked(plan);
  }
  [[nodiscard]] Outcome add_locked(const Plan& plan) {
    SetPlan& set = plans_.emplace_back(rings_, plan, options_);
    auto added = set_everywhere(set.watch, plan);
    if (!added) plans_.pop_back();
    return added;
  }

  // On every online CPU or on none.
  [[nodiscard]] Outcome set_everywhere(PerfCpuWatch& watch, const Plan& plan) {
    const auto added = hotplug_->machine().add_instance_cpuslocked(watch_state_, watch);
    if (added) {
      watch.tolerate_refusals();
      return {};
    }
    const auto refusals = watch.refusals();
    if (refusals.empty()) return no_state(added.error());
    return std::unexpected(
        Obstacle{refusals.begin()->first, refusals.begin()->second, plan, std::nullopt});
  }

  // Calls visit(watch, plan) for the records of tasks and for every plan that is set.
  template <typename Visitor>
  void for_each_watch(Visitor visit) {
    visit(tasks_, Plan{});
    for (SetPlan& set : plans_) {
      if (set.watch.is_added()) visit(set.watch, set.plan);
    }
  }

  // Why not everything is set on a CPU; nullopt if it is.
  [[nodiscard]] std::optional<Obstacle> obstacle_on(CpuId cpu) {
    std::optional<Obstacle> obstacle;
    for_each_watch([&](const PerfCpuWatch& watch, const Plan& plan) {
      const auto refusals = watch.refusals();
      const auto found = refusals.find(cpu);
      if (found != refusals.end() && !obstacle)
        obstacle = Obstacle{cpu, found->second, plan, std::nullopt};
    });
    return obstacle;
  }

  // --- hotplug callbacks, on the CPU's hotplug thread, or elsewhere for a CPU that is lost ---
  std::expected<void, Error> report_online(const hotplug::CallbackContext& context) {
    CpuEvent event = event_of(context.cpu, CpuEvent::Kind::online, monotonic_now());
    Life& life = lives_[context.cpu];
    const auto arrival = hotplug_->arrival(context.cpu);
    const Nanoseconds learned = arrival ? arrival->learned : event.time;
    // It was watched then, in its life before, or not online yet.
    const Nanoseconds earliest =
        std::max(life.told_until, arrival ? arrival->earliest : Nanoseconds{});
    const Nanoseconds began = births_.first_after(context.cpu, earliest).value_or(earliest);
    life.told_until = event.time;
    event.gap = Nanoseconds{event.time.value - std::min(began, learned).value};
    event.reinstall = Nanoseconds{event.time.value - learned.value};
    auto obstacle = obstacle_on(context.cpu);
    life.unwatched_since.reset();
    if (obstacle) life.unwatched_since = std::min(began, learned);
    events_.push(std::move(event), obstacle);
    return {};
  }
  std::expected<void, Error> report_offline(const hotplug::CallbackContext& context) {
    lives_[context.cpu].unwatched_since.reset();
    events_.push(event_of(context.cpu, CpuEvent::Kind::offline, monotonic_now()));
    return {};
  }

  // CPUs that refused a plan when they came online get it when its slots are free; CPUs whose
  // events have died get new ones.
  void look_after_cpus(Nanoseconds now) {
    if (now.value < last_look_.value + kCpuLookInterval.value) return;
    const std::shared_lock cpus(hotplug_->machine().online_cpus());
    for (auto& [cpu, life] : lives_) {
      if (life.unwatched_since) watch_again(cpu, *life.unwatched_since);
    }
    find_dead_events();
    last_look_ = monotonic_now();
  }
  // What died since the look before would not be told otherwise.
  void look_a_last_time() {
    const std::shared_lock cpus(hotplug_->machine().online_cpus());
    if (monotonic_now().value >= last_look_.value + kSignOfLifeInterval.value) find_dead_events();
  }

  // The kernel may begin to take a CPU down and then keep it, without a word: events of the CPU
  // that it had taken down already stay dead (measured on Linux 6.18, with cpuN/hotplug/fail). Then
  // the time for which they are enabled stands still.
  void find_dead_events() {
    for (const auto& [cpu, time] : tasks_.enabled_times()) {
      const auto before = enabled_times_.find(cpu);
      if (before == enabled_times_.end() || before->second != time) continue;
      // A CPU that is gone, or was, is told of by its event, and the state's callbacks see to it.
      if (hotplug_->has_stayed_online(cpu) == false) continue;
      for_each_watch([&](PerfCpuWatch& watch, const Plan&) { watch.reopen(cpu); });
      tell_whether_watched(cpu, last_look_);
    }
    enabled_times_ = tasks_.enabled_times();
  }

  // On a CPU that has not been watched since then.
  void watch_again(CpuId cpu, Nanoseconds since) {
    for_each_watch([&](PerfCpuWatch& watch, const Plan&) {
      if (watch.refusals().contains(cpu)) watch.reopen(cpu);
    });
    tell_whether_watched(cpu, since);
  }

  // Of a CPU that has stayed online and may not have been watched since then. That it still is not
  // is told once.
  void tell_whether_watched(CpuId cpu, Nanoseconds since) {
    CpuEvent event = event_of(cpu, CpuEvent::Kind::online, monotonic_now());
    Life& life = lives_[cpu];
    const bool was_told = life.unwatched_since.has_value();
    event.cpu_was_offline = false;
    event.gap = Nanoseconds{event.time.value - life.unwatched_since.value_or(since).value};
    event.reinstall = event.gap;
    auto obstacle = obstacle_on(cpu);
    if (!obstacle) {
      life.unwatched_since.reset();
    } else if (was_told) {
      return;
    } else {
      life.unwatched_since = since;
    }
    life.told_until = event.time;
    events_.push(std::move(event), obstacle);
  }

  // Hits and events of CPUs in the order of time; true if it stopped at a limit.
  bool deliver(SampleSink& sink, Nanoseconds until, PerfRingSet::Limits limits) {
    const auto handle_item = [&](const PerfRingSet::Item& item) { return handle(item, sink); };
    while (true) {
      const Nanoseconds pause = std::min(events_.oldest().value_or(until), until);
      if (ring_set_.deliver(pause, limits, handle_item)) return true;
      const auto event = events_.pop(pause);
      if (!event) return false;
      sink.on_cpu(*event);
    }
  }

  // True if a hit was delivered.
  bool handle(const PerfRingSet::Item& item, SampleSink& sink) {
    switch (item.header.kind) {
      case RecordKind::sample:
        return handle_sample(item, sink);
      case RecordKind::fork:
        if (const auto task = decode_task(item.bytes)) {
          names_.renamed(task->tid, names_.of(task->parent_pid, task->parent_tid));
          if (task->pid != task->parent_pid) {
            headless_.erase(task->pid);
            sink.on_event({.kind = TargetEvent::Kind::process_forked,
                           .pid = task->pid,
                           .tid = task->tid,
                           .parent = task->parent_pid});
          }
        }
        return false;
      case RecordKind::exit:
        if (const auto task = decode_task(item.bytes)) {
          names_.forget(task->tid);
          if (task->pid.value == task->tid.value && !tell_if_ended(task->pid, sink))
            headless_.insert(task->pid);
        }
        return false;
      case RecordKind::comm:
        if (const auto comm = decode_comm(item.bytes)) {
          names_.renamed(comm->tid, comm->name);
          if (comm->is_exec) {
            // Another thread's exec ends the first one and takes its number.
            headless_.erase(comm->pid);
            sink.on_event(
                {.kind = TargetEvent::Kind::executed, .pid = comm->pid, .tid = comm->tid});
          }
        }
        return false;
      case RecordKind::map:
        if (const auto map = decode_map(item.bytes))
          sink.on_event({.kind = TargetEvent::Kind::code_mapped, .pid = map->pid, .tid = map->tid});
        return false;
      case RecordKind::lost:
        loss_.suspect();
        sink.on_gap();
        return false;
      case RecordKind::other:
        return false;
    }
    return false;
  }

  bool handle_sample(const PerfRingSet::Item& item, SampleSink& sink) {
    if (!decode_sample(item.bytes, layout_, record_)) return false;
    for (const SetPlan& set : plans_) {
      auto sample = set.builder.build(record_, names_.of(record_.pid, record_.tid));
      if (!sample) continue;
      loss_.delivered();
      sample->is_newest = !ring_set_.has_more_samples();
      sink.on_sample(*sample);
      return true;
    }
    return false;
  }

  // The first thread's end is the end of the process only if no other is left.
  bool tell_if_ended(ProcessId pid, SampleSink& sink) const {
    if (has_live_thread(pid)) return false;
    sink.on_event(
        {.kind = TargetEvent::Kind::process_exited, .pid = pid, .tid = ThreadId{pid.value}});
    return true;
  }
  void tell_ended_processes(SampleSink& sink) {
    std::erase_if(headless_, [&](ProcessId pid) { return tell_if_ended(pid, sink); });
  }

  [[nodiscard]] PerfHitTotal total() const {
    PerfHitTotal sum = dropped_;
    for (const SetPlan& set : plans_) sum += set.watch.total();
    return sum;
  }

  // Forgets plans that were taken back, once everything up to then has been delivered.
  void drop_removed_plans(Nanoseconds delivered) {
    const auto is_done = [&](const SetPlan& set) {
      return set.removed_at && *set.removed_at <= delivered;
    };
    if (std::ranges::none_of(plans_, is_done)) return;
    const std::shared_lock cpus(hotplug_->machine().online_cpus());
    std::erase_if(plans_, [&](const SetPlan& set) {
      if (!is_done(set)) return false;
      dropped_ += set.watch.total();
      return true;
    });
  }

  void settle_losses(SampleSink& sink, Nanoseconds until) {
    if (const std::uint64_t lost = loss_.settle(until); lost != 0) sink.on_lost(lost);
    if (loss_.wants_count(monotonic_now())) loss_.counted(total().hits, monotonic_now());
  }

  // Closes every event. What was counted and recorded stays.
  void uninstall() {
    if (!watch_state_.owns_state()) return;
    auto& machine = hotplug_->machine();
    const std::shared_lock cpus(machine.online_cpus());
    if (report_state_.owns_state())
      std::ignore = machine.remove_state_nocalls_cpuslocked(report_state_);
    for (SetPlan& set : plans_) {
      if (set.watch.is_added())
        std::ignore = machine.remove_instance_cpuslocked(watch_state_, set.watch);
    }
    if (tasks_.is_added()) std::ignore = machine.remove_instance_cpuslocked(watch_state_, tasks_);
    std::ignore = machine.remove_state_cpuslocked(watch_state_);
  }

  const CollectorOptions options_;
  const perf_event_attr format_;  // a breakpoint's, for the format of its records only
  PerfCpuRings rings_;
  PerfCpuWatch tasks_;  // no debug register: forks, execs and the like
  // What callbacks see of them is changed under the hotplug read lock.
  std::list<SetPlan> plans_;
  PerfHitTotal dropped_;  // of plans that are not in the list any more
  // Callbacks change these, one at a time; the collector's thread, under the hotplug read lock.
  PerfCpuBirths births_;
  std::map<CpuId, Life> lives_;
  CpuEventQueue events_;

  SampleLayout layout_;
  PerfRingSet ring_set_;
  PerfThreadNames names_;
  std::set<ProcessId> headless_;  // whose first thread has ended before others
  PerfLoss loss_;
  std::vector<int> descriptors_;
  Nanoseconds last_look_;
  std::map<CpuId, Nanoseconds> enabled_times_;  // as of the last look
  PerfSample record_;                           // reused from sample to sample

  // After what the callbacks use; the states before the machine they belong to.
  std::unique_ptr<CpuHotplug> hotplug_;
  hotplug::StateHandle watch_state_;
  hotplug::StateHandle report_state_;
};

class PerfMachineCollector final : public PerfSessionCollector<Session, MachineCollector> {
 public:
  [[nodiscard]] Result<InstallReport> install(const TargetScope& /*the whole machine*/,
                                              const Plan& plan,
                                              const CollectorOptions& options) override {
    if (session_)
      return fail(ErrorCode::wrong_state,
                  "a collector installs one watch: use add for another plan");
    const auto possible = possible_cpus();
    if (!possible) return std::unexpected(possible.error());
    auto rings = PerfCpuRings::create(*possible, options.ring_bytes);
    if (!rings) return std::unexpected(std::move(rings.error()));
    auto hotplug = CpuHotplug::start();
    if (!hotplug)
      return fail(hotplug.error().code,
                  "CPUs that come and go cannot be followed: is /sys mounted? (" +
                      std::string(name_of(hotplug.error().code)) + ")",
                  hotplug.error().os_errno);
    auto session =
        std::make_unique<Session>(*std::move(hotplug), *std::move(rings), *possible, options);
    auto report = session->install(plan);
    if (report) session_ = std::move(session);
    return report;
  }

  [[nodiscard]] Result<void> add(const Plan& plan) override {
    if (!session_) return fail(ErrorCode::wrong_state, "install the first plan before others");
    return session_->add(plan);
  }
  void remove(const Plan& plan) override {
    if (session_) session_->remove(plan);
  }
};

}  // namespace

std::unique_ptr<MachineCollector> make_perf_machine_collector() {
  return std::make_unique<PerfMachineCollector>();
}

}  // namespace trapline::linux_port
