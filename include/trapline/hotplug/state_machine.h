// The CPU hotplug state machine: per-CPU resources that follow CPUs as they come and go.
//
// Every CPU walks the same numbered states: up when it comes online, running each state's startup
// in ascending order; down when it goes, running each teardown in exact reverse. Setting up a state
// runs its startup on every CPU that is past it already, before the call returns; removing it runs
// the teardown. A step that fails is undone. Model: the Linux kernel's cpuhp
// (Documentation/core-api/cpu_hotplug.rst).
//
// Freestanding: no heap, storage is given. Calls block and may come from any thread, but not from a
// signal handler, an interrupt or a hotplug callback (error in_callback).
//
// Locks, outermost first: control mutex, write lock (one CPU operation at a time, no setup
// meanwhile); read lock, state mutex (one setup or removal at a time, its callbacks included). The
// plain forms take what they need and refuse a caller that holds the read lock (lock_held); the
// _cpuslocked forms need it held (lock_not_held), so that several of them can be one step between
// which no CPU comes or goes:
//
//     StateHandle state;  // outlives the lock: its destructor would take it again
//     const std::shared_lock lock(machine.online_cpus());
//     auto made = machine.setup_state_cpuslocked({.name = "hw_breakpoint", .startup = reset});
//     if (made) state = *std::move(made);
//     if (!err_mask.empty()) machine.remove_state_nocalls_cpuslocked(state);
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string_view>

#include "trapline/base/cpu_set.h"
#include "trapline/base/error.h"
#include "trapline/hotplug/online_cpus.h"
#include "trapline/hotplug/state.h"
#include "trapline/hotplug/state_handle.h"
#include "trapline/hotplug/state_table.h"
#include "trapline/hotplug/trace.h"
#include "trapline/port/hotplug_port.h"

namespace trapline::hotplug {

// One CPU as the machine sees it. For storage; status() is how to read it.
struct CpuStatus {
  StateNumber state;   // the last one whose startup ran
  StateNumber target;  // where it was sent last; differs from `state` only during a transition
  bool did_not_arrive = false;  // it was started and timed out; a later cpu_up may succeed
  // What went wrong in the last transition, and at which state; cleared by the next that succeeds.
  std::optional<Error> error = std::nullopt;
  StateNumber failed_state;
  // Callbacks that failed where nothing could be undone (removal, rollback, a starting state, a
  // lost CPU): the resources of that many are left over, or missing, on this CPU.
  std::uint32_t unsettled = 0;
  // The last transition, also one that was undone: when it ended, and how long it took.
  Nanoseconds changed_at;
  Nanoseconds transition_duration;
};

struct CpuRecord {
  CpuStatus status;
  std::optional<StateNumber> fail_at = std::nullopt;
};

// A machine with room for this many CPUs and states: for whoever has no heap.
template <std::size_t kCpuCount, StateLayout kLayout = StateLayout{}>
struct StaticStorage {
  CpuRecord cpus[kCpuCount];
  StateRecord states[kLayout.count()];
};

template <typename Port>
class StateMachine {
 public:
  using Outcome = std::expected<void, Error>;
  using SetupResult = std::expected<StateHandle, Error>;

  // CPUs at or above cpus.size() do not exist for this machine. `states` has layout.count()
  // elements. All CPUs start offline. Everything given outlives the machine.
  StateMachine(Port& port, const StateLayout& layout, std::span<CpuRecord> cpus,
               std::span<StateRecord> states, Tracer* tracer = nullptr)
      : port_(port), cpus_(cpus), table_(layout, states), tracer_(tracer), online_cpus_(port) {
    static_assert(HotplugPort<Port>);
  }
  StateMachine(const StateMachine&) = delete;
  StateMachine& operator=(const StateMachine&) = delete;

  [[nodiscard]] OnlineCpus<Port>& online_cpus() { return online_cpus_; }
  [[nodiscard]] const StateLayout& layout() const { return table_.layout(); }

  // --- states -----------------------------------------------------------------------------------
  // Runs the startup on every present CPU at or past the new state, in ascending order, and returns
  // when all have run. If one fails, the teardown runs on those before it, in reverse, and the
  // state is gone. Errors: bad_number, number_taken, range_full; the callback's.
  [[nodiscard]] SetupResult setup_state(const StateDefinition& definition) {
    return with_read_lock([&] { return setup_state_cpuslocked(definition); });
  }
  [[nodiscard]] SetupResult setup_state_cpuslocked(const StateDefinition& definition) {
    return setup(definition, {.calls = true});
  }
  // Only installs: CPUs that are past the state are not called.
  [[nodiscard]] SetupResult setup_state_nocalls(const StateDefinition& definition) {
    return with_read_lock([&] { return setup_state_nocalls_cpuslocked(definition); });
  }
  [[nodiscard]] SetupResult setup_state_nocalls_cpuslocked(const StateDefinition& definition) {
    return setup(definition, {});
  }
  // A state whose callbacks run once per instance; there are none yet, so nothing is called.
  [[nodiscard]] SetupResult setup_state_multi(const StateDefinition& definition) {
    return with_read_lock([&] { return setup_state_multi_cpuslocked(definition); });
  }
  [[nodiscard]] SetupResult setup_state_multi_cpuslocked(const StateDefinition& definition) {
    return setup(definition, {.multi = true});
  }

  // Runs the teardown on every CPU at or past the state and removes it; the handle is empty then.
  // Errors that change nothing: not_reserved (an empty handle), foreign_state, instances_left.
  // teardown_failed: the state is removed, but what it had on some CPU may be left over;
  // CpuStatus::unsettled tells on which.
  [[nodiscard]] Outcome remove_state(StateHandle& handle) {
    return with_read_lock([&] { return remove_state_cpuslocked(handle); });
  }
  [[nodiscard]] Outcome remove_state_cpuslocked(StateHandle& handle) {
    return remove(handle, true);
  }
  [[nodiscard]] Outcome remove_state_nocalls(StateHandle& handle) {
    return with_read_lock([&] { return remove_state_nocalls_cpuslocked(handle); });
  }
  [[nodiscard]] Outcome remove_state_nocalls_cpuslocked(StateHandle& handle) {
    return remove(handle, false);
  }

  // --- instances of a multi-instance state ------------------------------------------------------
  // Runs the startup for the instance on every CPU at or past the state, then links it: CPUs that
  // come later start it after the instances added before. If one CPU fails, only what this call did
  // is undone. Errors: not_multi_instance, duplicate (it is added already), not_reserved or
  // foreign_state for the handle; the callback's.
  [[nodiscard]] Outcome add_instance(const StateHandle& handle, Instance& instance) {
    return with_read_lock([&] { return add_instance_cpuslocked(handle, instance); });
  }
  [[nodiscard]] Outcome add_instance_cpuslocked(const StateHandle& handle, Instance& instance) {
    return add(handle, instance, true);
  }
  [[nodiscard]] Outcome add_instance_nocalls(const StateHandle& handle, Instance& instance) {
    return with_read_lock([&] { return add_instance_nocalls_cpuslocked(handle, instance); });
  }
  [[nodiscard]] Outcome add_instance_nocalls_cpuslocked(const StateHandle& handle,
                                                        Instance& instance) {
    return add(handle, instance, false);
  }
  // Runs the teardown for the instance on every CPU at or past the state, then unlinks it. Errors:
  // not_reserved (not an instance of this state); teardown_failed as in remove_state: it is
  // unlinked.
  [[nodiscard]] Outcome remove_instance(const StateHandle& handle, Instance& instance) {
    return with_read_lock([&] { return remove_instance_cpuslocked(handle, instance); });
  }
  [[nodiscard]] Outcome remove_instance_cpuslocked(const StateHandle& handle, Instance& instance) {
    return drop(handle, instance, true);
  }
  [[nodiscard]] Outcome remove_instance_nocalls(const StateHandle& handle, Instance& instance) {
    return with_read_lock([&] { return remove_instance_nocalls_cpuslocked(handle, instance); });
  }
  [[nodiscard]] Outcome remove_instance_nocalls_cpuslocked(const StateHandle& handle,
                                                           Instance& instance) {
    return drop(handle, instance, false);
  }

  // --- CPUs -------------------------------------------------------------------------------------
  // Starts or stops the CPU with all its states. A CPU that is there already: success, nothing
  // runs. Errors: cpu_not_present, last_cpu, hotplug_disabled, timed_out; the port's; the
  // callback's, after the steps done so far were undone. A step that fails while it is undone ends
  // the undoing: status() shows where.
  [[nodiscard]] Outcome cpu_up(CpuId cpu) { return set_target(cpu, layout().online()); }
  [[nodiscard]] Outcome cpu_down(CpuId cpu) { return set_target(cpu, StateLayout::offline()); }
  // Walks to any state in which a CPU can rest. Errors: as above; bad_number for the starting
  // states and bringup, in which it cannot, and for what is out of range.
  [[nodiscard]] Outcome set_target(CpuId cpu, StateNumber target) {
    if (!can_rest_at(target)) return std::unexpected(Error{ErrorCode::bad_number});
    if (const auto allowed = check_caller(false); !allowed) return allowed;
    const std::lock_guard control(control_mutex_);
    if (const auto possible = check_request(cpu, target); !possible) return possible;
    return change_cpu(cpu, target, Departure::stopped);
  }

  // For ports on which CPUs come and go by somebody else's doing.
  // The CPU runs already: walks up. After an error the walk is undone, but the CPU is not stopped.
  // still_true() says that the news is not outdated; it is asked when no other operation on CPUs is
  // under way. If not, nothing runs. Errors: cpu_not_present, the port's, the callback's.
  template <typename StillTrue>
  [[nodiscard]] Outcome cpu_arrived(CpuId cpu, StillTrue still_true) {
    if (const auto allowed = check_caller(false); !allowed) return allowed;
    const std::lock_guard control(control_mutex_);
    if (!exists(cpu)) return std::unexpected(Error{ErrorCode::cpu_not_present});
    if (!still_true()) return {};
    return change_cpu(cpu, layout().online(), Departure::released);
  }
  [[nodiscard]] Outcome cpu_arrived(CpuId cpu) {
    return cpu_arrived(cpu, [] { return true; });
  }
  // The CPU is gone: every teardown runs on the calling thread, is told so, and cannot refuse.
  // still_true as above.
  template <typename StillTrue>
  [[nodiscard]] Outcome cpu_lost(CpuId cpu, StillTrue still_true) {
    if (const auto allowed = check_caller(false); !allowed) return allowed;
    const std::lock_guard control(control_mutex_);
    if (cpu.value >= cpus_.size()) return std::unexpected(Error{ErrorCode::cpu_not_present});
    if (!still_true()) return {};
    return change_cpu(cpu, StateLayout::offline(), Departure::lost);
  }
  [[nodiscard]] Outcome cpu_lost(CpuId cpu) {
    return cpu_lost(cpu, [] { return true; });
  }

  // Between them cpu_up, cpu_down and set_target answer hotplug_disabled. Counted. Errors:
  // wrong_state for an enable without its disable.
  [[nodiscard]] Outcome hotplug_disable() { return count_disabled(true); }
  [[nodiscard]] Outcome hotplug_enable() { return count_disabled(false); }

  // --- looking and testing ----------------------------------------------------------------------
  // Errors: cpu_not_present for an id this machine has no room for.
  [[nodiscard]] std::expected<CpuStatus, Error> status(CpuId cpu) {
    return with_state_mutex([&]() -> std::expected<CpuStatus, Error> {
      if (cpu.value >= cpus_.size()) return std::unexpected(Error{ErrorCode::cpu_not_present});
      return record(cpu).status;
    });
  }
  // The name of a state or a built-in step, as StateTable::name; valid while the state exists.
  [[nodiscard]] std::expected<std::string_view, Error> state_name(StateNumber number) {
    return with_state_mutex([&]() -> std::expected<std::string_view, Error> {
      if (number > layout().online()) return std::unexpected(Error{ErrorCode::bad_number});
      return table_.name(number);
    });
  }
  // Calls visit(StateNumber, std::string_view name) for every state and built-in step, ascending.
  // The visitor may not call the machine.
  template <typename Visitor>
  [[nodiscard]] Outcome for_each_state(Visitor visit) {
    return with_state_mutex([&]() -> Outcome {
      for (StateNumber number; number <= layout().online(); ++number.value) {
        if (const std::string_view name = table_.name(number); !name.empty()) visit(number, name);
      }
      return {};
    });
  }

  // The next time this state may fail on this CPU, it fails with injected_failure instead of
  // calling back; once. Errors: cpu_not_present; bad_number (out of range, a built-in step);
  // cannot_fail (a starting state, a state without a callback that may fail).
  [[nodiscard]] Outcome fail_at(CpuId cpu, StateNumber number) {
    return with_state_mutex([&]() -> Outcome {
      if (cpu.value >= cpus_.size()) return std::unexpected(Error{ErrorCode::cpu_not_present});
      const auto section = layout().section_of(number);
      if (!section) return std::unexpected(Error{ErrorCode::bad_number});
      const StateDefinition& state = table_.at(number).definition;
      const bool can_fail =
          *section != Section::starting &&
          (state.startup != nullptr || (*section == Section::online && state.teardown != nullptr));
      if (!can_fail) return std::unexpected(Error{ErrorCode::cannot_fail});
      record(cpu).fail_at = number;
      return {};
    });
  }

  // Traces `hung` if a callback has been running for longer than `limit`, once per callback. Takes
  // no lock: a watchdog calls it, from any thread or interrupt, one at a time.
  void check_hung(Nanoseconds limit);

 private:
  using Slot = ReaderSlot<typename Port::Word>;

  // How a CPU that goes below bringup is left.
  enum class Departure : std::uint8_t { stopped, released, lost };

  struct SetupForm {
    bool multi = false;
    bool calls = false;
  };

  // Where a step runs.
  struct Site {
    bool on_cpu = false;
    bool is_lost = false;
  };

  [[nodiscard]] CpuRecord& record(CpuId cpu) { return cpus_[cpu.value]; }
  [[nodiscard]] bool exists(CpuId cpu) { return cpu.value < cpus_.size() && port_.is_present(cpu); }
  [[nodiscard]] bool can_rest_at(StateNumber number) const {
    return number <= layout().online() && number != layout().bringup() &&
           layout().section_of(number) != Section::starting;
  }

  // Who may call: nobody from within a callback; with or without the read lock, as the form says.
  [[nodiscard]] Outcome check_caller(bool with_read_lock) const {
    if (port_.reader_slot().in_callback) return std::unexpected(Error{ErrorCode::in_callback});
    if (online_cpus_.read_lock_held() != with_read_lock)
      return std::unexpected(
          Error{with_read_lock ? ErrorCode::lock_not_held : ErrorCode::lock_held});
    return {};
  }
  template <typename Operation>
  auto with_read_lock(Operation operation) -> decltype(operation()) {
    if (const auto allowed = check_caller(false); !allowed) return std::unexpected(allowed.error());
    const std::shared_lock lock(online_cpus_);
    return operation();
  }
  template <typename Operation>
  auto with_state_mutex(Operation operation) -> decltype(operation()) {
    return with_read_lock([&] {
      const std::lock_guard lock(state_mutex_);
      return operation();
    });
  }

  SetupResult setup(const StateDefinition& definition, SetupForm form);
  Outcome remove(StateHandle& handle, bool calls);
  void release(StateNumber number);
  Outcome add(const StateHandle& handle, Instance& instance, bool calls);
  Outcome drop(const StateHandle& handle, Instance& instance, bool calls);
  [[nodiscard]] Outcome check_handle(const StateHandle& handle) const;
  static void remove_or_bug(void* machine, StateHandle& handle);

  Outcome start_everywhere(StateNumber number, Instance* instance);
  Outcome stop_everywhere(StateNumber number, Instance* instance);
  Outcome stop_below(std::size_t end, StateNumber number, Instance* instance);
  Outcome run_where_due(CpuId cpu, StateNumber number, Direction direction, Instance* instance);

  Outcome check_request(CpuId cpu, StateNumber target);
  Outcome change_cpu(CpuId cpu, StateNumber target, Departure departure);
  Outcome transition(CpuId cpu, StateNumber target, Departure departure);
  Outcome raise(CpuId cpu, StateNumber target);
  Outcome lower(CpuId cpu, StateNumber target, Departure departure);
  Outcome walk_section(CpuId cpu, Section section, StateNumber end, bool is_lost);
  Outcome walk(CpuId cpu, StateNumber end, Site site);
  template <typename Work>
  Outcome run_on_cpu(CpuId cpu, Section section, Work work);
  Outcome leave_bringup(CpuId cpu, Departure departure);
  Outcome count_disabled(bool disable);

  Outcome run_step(CpuId cpu, StateNumber number, Direction direction, Instance* only, Site site);
  Outcome run_instances(CpuId cpu, StateNumber number, Direction direction, Site site);
  Outcome call(CpuId cpu, StateNumber number, Direction direction, Instance* instance, Site site);
  [[nodiscard]] bool may_fail(StateNumber number, Direction direction, Site site) const;
  [[nodiscard]] bool take_injection(CpuId cpu, StateNumber number);
  void trace(const TraceEvent& event) {
    if (tracer_ != nullptr) tracer_->on_trace(event);
  }

  // The callback that is running, for check_hung; one at a time, since setups hold the state mutex
  // and CPU operations the write lock. `sequence` is odd while one runs.
  struct RunningCallback {
    std::atomic<std::uint32_t> sequence{0};
    std::atomic<std::uint64_t> since{0};
    std::atomic<std::uint32_t> cpu{0};
    std::atomic<std::uint16_t> state{0};
    std::atomic<const char*> name{nullptr};
    std::atomic<std::size_t> name_length{0};
    std::atomic<std::uint32_t> reported{0};  // the last sequence number that was traced as hung
  };
  void begin_running(CpuId cpu, StateNumber number);
  void end_running() { running_.sequence.fetch_add(1, std::memory_order_release); }

  Port& port_;
  std::span<CpuRecord> cpus_;  // written under the write lock, or the state mutex
  StateTable table_;           // written under the read lock and the state mutex
  Tracer* tracer_;
  OnlineCpus<Port> online_cpus_;
  typename Port::Mutex control_mutex_;  // one CPU operation at a time; guards disabled_
  typename Port::Mutex state_mutex_;    // one setup, removal or look at a time
  std::uint32_t disabled_ = 0;
  RunningCallback running_;
};

}  // namespace trapline::hotplug

#include "trapline/hotplug/detail/state_machine_setup.h"
#include "trapline/hotplug/detail/state_machine_walk.h"
