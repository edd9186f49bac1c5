#include "ports/linux/machine_watch.h"

#include <algorithm>
#include <shared_mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ports/linux/monotonic_clock.h"
#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {
namespace {

// How long a CPU may go unwatched without an event that tells of it.
constexpr Nanoseconds kCpuLookInterval{250'000'000};
// The time for which an event is enabled grows by something in this while, unless it is dead.
constexpr Nanoseconds kSignOfLifeInterval{5'000'000};

CpuEvent event_of(CpuId cpu, CpuEvent::Kind kind, Nanoseconds time) {
  CpuEvent event;
  event.cpu = cpu;
  event.kind = kind;
  event.time = time;
  return event;
}

// There is nobody to inherit an event of a CPU.
PerfEventOptions without_inheritance(PerfEventOptions options) {
  options.inheritance = Inheritance::none;
  options.has_inherit_thread = false;
  return options;
}

std::unexpected<CpuObstacle> no_state(Error error) {
  return std::unexpected(CpuObstacle{.cpu = {}, .refusal = {}, .plan = {}, .no_state = error});
}

}  // namespace

MachineWatch::SetPlan::SetPlan(const Plan& wanted, const MachineEvents& events,
                               const CollectorOptions& options)
    : plan(wanted),
      watch(breakpoint_attributes(wanted, without_inheritance(events.breakpoints)), events.connect),
      builder(wanted, options) {}

Result<std::unique_ptr<MachineWatch>> MachineWatch::create(MachineEvents events,
                                                           const CollectorOptions& options) {
  const auto possible = possible_cpus();
  if (!possible) return std::unexpected(possible.error());
  auto hotplug = CpuHotplug::start();
  if (!hotplug)
    return fail(hotplug.error().code,
                "CPUs that come and go cannot be followed: is /sys mounted? (" +
                    std::string(name_of(hotplug.error().code)) + ")",
                hotplug.error().os_errno);
  return std::unique_ptr<MachineWatch>(
      new MachineWatch(std::move(events), options, *possible, *std::move(hotplug)));
}

MachineWatch::MachineWatch(MachineEvents events, const CollectorOptions& options,
                           const CpuSet& possible, std::unique_ptr<CpuHotplug> hotplug)
    : events_(std::move(events)),
      options_(options),
      signs_of_life_({events_.sign_of_life}, events_.connect_sign_of_life),
      births_(possible),
      hotplug_(std::move(hotplug)) {}

Result<InstallReport> MachineWatch::install(const Plan& plan) {
  InstallReport report;
  if (auto set_up = set_up_states(plan, report); !set_up)
    return std::unexpected(explain(set_up.error()));
  report.slots = plan.slots().size();
  report.sees_kernel_accesses = true;
  if (!hotplug_->hears_events())
    report.notes.emplace_back(
        "the kernel's CPU events cannot be heard here: a CPU that comes online is noticed up "
        "to " +
        std::to_string(CpuHotplug::kReconcileWithoutEvents.value / kNanosecondsPerMillisecond) +
        " ms later");
  return report;
}

MachineWatch::Outcome MachineWatch::set_up_states(const Plan& plan, InstallReport& report) {
  auto& machine = hotplug_->machine();
  const std::shared_lock cpus(machine.online_cpus());
  auto watched = machine.setup_state_multi_cpuslocked(
      {.name = "trapline/watch:online",
       .placement = hotplug::Placement::fixed(hotplug::Section::online, 0),
       .startup = hotplug::instance_method<&PerfCpuWatch::install>,
       .teardown = hotplug::instance_method<&PerfCpuWatch::remove>});
  if (!watched) return no_state(watched.error());
  watch_state_ = *std::move(watched);
  if (auto added = set_everywhere(signs_of_life_, Plan{}); !added) return added;
  if (!plan.slots().empty()) {
    if (auto added = add_locked(plan); !added) return added;
  }
  // After all watches on the way up, before them on the way down.
  auto reported = machine.setup_state_nocalls_cpuslocked(
      {.name = "trapline/watch:report",
       .placement = hotplug::Placement::fixed(hotplug::Section::online, 1),
       .startup = hotplug::method<&MachineWatch::report_online>,
       .teardown = hotplug::method<&MachineWatch::report_offline>,
       .object = this});
  if (!reported) return no_state(reported.error());
  report_state_ = *std::move(reported);
  report.cpus = machine.online_cpus().cpus();
  enabled_times_ = signs_of_life_.enabled_times();
  last_look_ = monotonic_now();
  return {};
}

Result<void> MachineWatch::add(const Plan& plan) {
  if (auto added = add_to_cpus(plan); !added) return std::unexpected(explain(added.error()));
  return {};
}

MachineWatch::Outcome MachineWatch::add_to_cpus(const Plan& plan) {
  const std::shared_lock cpus(hotplug_->machine().online_cpus());
  return add_locked(plan);
}

MachineWatch::Outcome MachineWatch::add_locked(const Plan& plan) {
  SetPlan& set = plans_.emplace_back(plan, events_, options_);
  auto added = set_everywhere(set.watch, plan);
  if (!added) plans_.pop_back();
  return added;
}

MachineWatch::Outcome MachineWatch::set_everywhere(PerfCpuWatch& watch, const Plan& plan) {
  const auto added = hotplug_->machine().add_instance_cpuslocked(watch_state_, watch);
  if (added) {
    watch.tolerate_refusals();
    return {};
  }
  const auto refusals = watch.refusals();
  if (refusals.empty()) return no_state(added.error());
  return std::unexpected(
      CpuObstacle{refusals.begin()->first, refusals.begin()->second, plan, std::nullopt});
}

void MachineWatch::remove(const Plan& plan) {
  auto& machine = hotplug_->machine();
  const std::shared_lock cpus(machine.online_cpus());
  for (SetPlan& set : plans_) {
    if (!set.watch.is_added() || !std::ranges::equal(set.plan.slots(), plan.slots())) continue;
    // What fails here is closing events, which cannot.
    std::ignore = machine.remove_instance_cpuslocked(watch_state_, set.watch);
    set.removed_at = monotonic_now();
  }
}

void MachineWatch::uninstall() {
  if (!watch_state_.owns_state()) return;
  auto& machine = hotplug_->machine();
  const std::shared_lock cpus(machine.online_cpus());
  if (report_state_.owns_state())
    std::ignore = machine.remove_state_nocalls_cpuslocked(report_state_);
  for (SetPlan& set : plans_) {
    if (set.watch.is_added())
      std::ignore = machine.remove_instance_cpuslocked(watch_state_, set.watch);
  }
  if (signs_of_life_.is_added())
    std::ignore = machine.remove_instance_cpuslocked(watch_state_, signs_of_life_);
  std::ignore = machine.remove_state_cpuslocked(watch_state_);
}

template <typename Visitor>
void MachineWatch::for_each_watch(Visitor visit) {
  visit(signs_of_life_, Plan{});
  for (SetPlan& set : plans_) {
    if (set.watch.is_added()) visit(set.watch, set.plan);
  }
}

std::optional<CpuObstacle> MachineWatch::obstacle_on(CpuId cpu) {
  std::optional<CpuObstacle> obstacle;
  for_each_watch([&](const PerfCpuWatch& watch, const Plan& plan) {
    const auto refusals = watch.refusals();
    const auto found = refusals.find(cpu);
    if (found != refusals.end() && !obstacle)
      obstacle = CpuObstacle{cpu, found->second, plan, std::nullopt};
  });
  return obstacle;
}

std::expected<void, Error> MachineWatch::report_online(const hotplug::CallbackContext& context) {
  auto obstacle = obstacle_on(context.cpu);
  end_gap(context.cpu, !obstacle);
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
  life.unwatched_since.reset();
  if (obstacle) life.unwatched_since = std::min(began, learned);
  events_to_tell_.push(std::move(event), obstacle);
  return {};
}

std::expected<void, Error> MachineWatch::report_offline(const hotplug::CallbackContext& context) {
  if (std::exchange(lives_[context.cpu].unwatched_since, std::nullopt))
    end_gap(context.cpu, /*is_watched=*/true);
  events_to_tell_.push(event_of(context.cpu, CpuEvent::Kind::offline, monotonic_now()));
  return {};
}

void MachineWatch::end_gap(CpuId cpu, bool is_watched) {
  if (!events_.on_gap) return;
  const bool others_are_watched = std::ranges::none_of(lives_, [cpu](const auto& entry) {
    return entry.first != cpu && entry.second.unwatched_since;
  });
  events_.on_gap(is_watched && others_are_watched);
}

void MachineWatch::look_after_cpus(Nanoseconds now) {
  if (now.value < last_look_.value + kCpuLookInterval.value) return;
  const std::shared_lock cpus(hotplug_->machine().online_cpus());
  for (auto& [cpu, life] : lives_) {
    if (life.unwatched_since) watch_again(cpu, *life.unwatched_since);
  }
  find_dead_events();
  last_look_ = monotonic_now();
}

void MachineWatch::look_a_last_time() {
  // A CPU that has just gone or come, and has not been heard of.
  std::ignore = hotplug_->reconcile();
  const std::shared_lock cpus(hotplug_->machine().online_cpus());
  // What died since the look before would not be told otherwise.
  if (monotonic_now().value >= last_look_.value + kSignOfLifeInterval.value) find_dead_events();
}

// The kernel may begin to take a CPU down and then keep it, without a word: events of the CPU that
// it had taken down already stay dead (measured on Linux 6.18, with cpuN/hotplug/fail). Then the
// time for which they are enabled stands still.
void MachineWatch::find_dead_events() {
  for (const auto& [cpu, time] : signs_of_life_.enabled_times()) {
    const auto before = enabled_times_.find(cpu);
    if (before == enabled_times_.end() || before->second != time) continue;
    // A CPU that is gone, or was, is told of by its event, and the state's callbacks see to it.
    if (hotplug_->has_stayed_online(cpu) == false) continue;
    for_each_watch([&](PerfCpuWatch& watch, const Plan&) { watch.reopen(cpu); });
    tell_whether_watched(cpu, last_look_);
  }
  enabled_times_ = signs_of_life_.enabled_times();
}

void MachineWatch::watch_again(CpuId cpu, Nanoseconds since) {
  for_each_watch([&](PerfCpuWatch& watch, const Plan&) {
    if (watch.refusals().contains(cpu)) watch.reopen(cpu);
  });
  tell_whether_watched(cpu, since);
}

void MachineWatch::tell_whether_watched(CpuId cpu, Nanoseconds since) {
  auto obstacle = obstacle_on(cpu);
  end_gap(cpu, !obstacle);
  CpuEvent event = event_of(cpu, CpuEvent::Kind::online, monotonic_now());
  Life& life = lives_[cpu];
  const bool was_told = life.unwatched_since.has_value();
  event.cpu_was_offline = false;
  event.gap = Nanoseconds{event.time.value - life.unwatched_since.value_or(since).value};
  event.reinstall = event.gap;
  if (!obstacle) {
    life.unwatched_since.reset();
  } else if (was_told) {
    return;
  } else {
    life.unwatched_since = since;
  }
  life.told_until = event.time;
  events_to_tell_.push(std::move(event), obstacle);
}

std::optional<Sample> MachineWatch::build_sample(const PerfSample& record,
                                                 const PerfThreadNames::Name& name) const {
  for (const SetPlan& set : plans_) {
    if (auto sample = set.builder.build(record, name)) return sample;
  }
  return std::nullopt;
}

PerfHitTotal MachineWatch::total() const {
  PerfHitTotal sum = dropped_;
  for (const SetPlan& set : plans_) sum += set.watch.total();
  return sum;
}

void MachineWatch::drop_removed_plans(Nanoseconds delivered) {
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

}  // namespace trapline::linux_port
