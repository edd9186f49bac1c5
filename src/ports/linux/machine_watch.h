// What a watch of the whole machine keeps on every CPU, through CPU hotplug, whatever reads its
// hits: the events of its plans, and beside them one that tells whether a CPU's events are alive.
//
// Events are opened and closed by the callbacks of a CPU hotplug state, each plan an instance of
// it; a second state notes what there is to tell of a CPU when all is set on it. One thread, but
// for the callbacks.
#pragma once

#include <linux/perf_event.h>

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>

#include "base/failure.h"
#include "ports/linux/collector.h"
#include "ports/linux/cpu_event_queue.h"
#include "ports/linux/perf_cpu_births.h"
#include "ports/linux/perf_cpu_watch.h"
#include "ports/linux/perf_event.h"
#include "ports/linux/perf_sample_builder.h"
#include "trapline/base/cpu_set.h"
#include "trapline/base/units.h"
#include "trapline/linux/cpu_hotplug.h"
#include "trapline/watch/plan.h"

namespace trapline::linux_port {

// How a collector's events on a CPU are made.
struct MachineEvents {
  PerfEventOptions breakpoints;  // but for inheritance: a CPU has no children
  PerfCpuWatch::Connect connect;
  // As task_attributes() or sign_of_life_attributes() makes it.
  perf_event_attr sign_of_life{};
  PerfCpuWatch::Connect connect_sign_of_life;
  // Hits may have been missed up to now. `all_are_watched`: from now on none is. Also called by
  // hotplug threads, one at a time. May be empty.
  std::function<void(bool all_are_watched)> on_gap = {};
};

class MachineWatch {
 public:
  // Nothing is set yet. Errors: os_failure and others of CpuHotplug::start.
  [[nodiscard]] static Result<std::unique_ptr<MachineWatch>> create(
      MachineEvents events, const CollectorOptions& options);
  MachineWatch(const MachineWatch&) = delete;
  MachineWatch& operator=(const MachineWatch&) = delete;
  ~MachineWatch() { uninstall(); }

  // The sign of life, the first plan, if it has slots, and what notes CPUs that come and go; no CPU
  // does so in between. Once. Errors: as Collector::install.
  [[nodiscard]] Result<InstallReport> install(const Plan& plan);
  // As MachineCollector.
  [[nodiscard]] Result<void> add(const Plan& plan);
  void remove(const Plan& plan);
  // Closes every event. What was counted stays. Idempotent.
  void uninstall();

  // To be called with every drain: CPUs that refused a plan when they came online get it when its
  // slots are free; CPUs whose events have died get new ones.
  void look_after_cpus(Nanoseconds now);
  // Before uninstall(): what has happened to CPUs and was not heard of yet.
  void look_a_last_time();
  // What there is to tell of CPUs.
  [[nodiscard]] CpuEventQueue& cpu_events() { return events_to_tell_; }

  // A hit of any plan that is set, or was; as PerfSampleBuilder::build.
  [[nodiscard]] std::optional<Sample> build_sample(const PerfSample& record,
                                                   const PerfThreadNames::Name& name) const;
  // Forgets plans that were taken back, once everything up to then has been delivered.
  void drop_removed_plans(Nanoseconds delivered);
  // Of all plans there ever were.
  [[nodiscard]] PerfHitTotal total() const;

 private:
  // A plan that is set everywhere.
  struct SetPlan {
    SetPlan(const Plan& wanted, const MachineEvents& events, const CollectorOptions& options);

    Plan plan;
    PerfCpuWatch watch;
    PerfSampleBuilder builder;
    std::optional<Nanoseconds> removed_at;  // nothing it recorded is younger
  };
  using Outcome = std::expected<void, CpuObstacle>;
  // What is known of a CPU that came, went or could not be watched.
  struct Life {
    Nanoseconds told_until;  // what was missed on it before is told, if anything
    std::optional<Nanoseconds> unwatched_since;  // it is online, and refuses
  };

  MachineWatch(MachineEvents events, const CollectorOptions& options, const CpuSet& possible,
               std::unique_ptr<CpuHotplug> hotplug);

  [[nodiscard]] Outcome set_up_states(const Plan& plan, InstallReport& report);
  [[nodiscard]] Outcome add_to_cpus(const Plan& plan);
  // These two under the hotplug read lock; on every online CPU or on none.
  [[nodiscard]] Outcome add_locked(const Plan& plan);
  [[nodiscard]] Outcome set_everywhere(PerfCpuWatch& watch, const Plan& plan);
  // Calls visit(watch, plan) for the sign of life and for every plan that is set.
  template <typename Visitor>
  void for_each_watch(Visitor visit);
  // Why not everything is set on a CPU; nullopt if it is.
  [[nodiscard]] std::optional<CpuObstacle> obstacle_on(CpuId cpu);

  // Hotplug callbacks, on the CPU's hotplug thread, or elsewhere for a CPU that is lost.
  std::expected<void, Error> report_online(const hotplug::CallbackContext& context);
  std::expected<void, Error> report_offline(const hotplug::CallbackContext& context);

  // After the time for which a CPU was not watched; `is_watched`: now it is, or it is gone.
  void end_gap(CpuId cpu, bool is_watched);
  void find_dead_events();
  // On a CPU that has not been watched since then.
  void watch_again(CpuId cpu, Nanoseconds since);
  // Of a CPU that has stayed online and may not have been watched since then. That it still is not
  // is told once.
  void tell_whether_watched(CpuId cpu, Nanoseconds since);

  const MachineEvents events_;
  const CollectorOptions options_;
  PerfCpuWatch signs_of_life_;
  // What callbacks see of them is changed under the hotplug read lock.
  std::list<SetPlan> plans_;
  PerfHitTotal dropped_;  // of plans that are not in the list any more
  // Callbacks change these, one at a time; the owner's thread, under the hotplug read lock.
  PerfCpuBirths births_;
  std::map<CpuId, Life> lives_;
  CpuEventQueue events_to_tell_;
  Nanoseconds last_look_;
  std::map<CpuId, Nanoseconds> enabled_times_;  // as of the last look

  // After what the callbacks use; the states before the machine they belong to.
  std::unique_ptr<CpuHotplug> hotplug_;
  hotplug::StateHandle watch_state_;
  hotplug::StateHandle report_state_;
};

}  // namespace trapline::linux_port
