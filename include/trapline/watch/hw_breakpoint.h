// Watches on every CPU of a machine, through CPUs that go away and come back: the debug registers
// as two hotplug states.
//
// The first state resets a CPU's registers. Registering it is the founding problem: an access may
// fault on some CPU, which the port survives and reports; the CPUs it happened on are in
// debug_err_mask; if there are any, the state is removed again without calling back, and the
// facility is not to be had. From the registration to the removal the read lock is held, so that no
// CPU arrives, runs the reset and is left with it. The second state holds the watches, as
// instances: it installs each on every CPU, and on those that arrive later.
//
// A CPU whose reset fails when the facility is in use already comes online all the same, unwatched:
// debug_err_mask has it. Freestanding; from threads, never from a hotplug callback.
#pragma once

#include <expected>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <utility>

#include "trapline/base/cpu_set.h"
#include "trapline/base/error.h"
#include "trapline/hotplug/state_machine.h"
#include "trapline/port/debug_port.h"
#include "trapline/watch/plan.h"
#include "trapline/watch/request.h"
#include "trapline/watch/slot_table.h"

namespace trapline {

// One watch. Stays where it is while it is added.
class CpuWatch : public hotplug::Instance {
 public:
  [[nodiscard]] const Request& request() const { return request_; }
  // The registers it has on every CPU, in the order of their addresses.
  [[nodiscard]] std::span<const SlotIndex> registers() const { return reservation_.registers(); }
  // The slot number `index` of them.
  [[nodiscard]] DebugSlot slot(std::size_t index) const {
    const SlotRequest& part = plan_.slots()[index];
    return {reservation_.registers()[index], part.address, part.length, part.access};
  }
  // Whether this register of a CPU belongs to the watch.
  [[nodiscard]] bool owns(SlotIndex index, Access access) const {
    const bool is_code = request_.access == Access::execute;
    if (!is_added() || is_code != (access == Access::execute)) return false;
    for (const SlotIndex own : registers()) {
      if (own == index) return true;
    }
    return false;
  }

 private:
  template <DebugPort Debug, HotplugPort Port>
  friend class HwBreakpoint;
  Request request_;
  Plan plan_;
  Reservation reservation_;
};

template <DebugPort Debug, HotplugPort Port>
class HwBreakpoint {
 public:
  using Outcome = std::expected<void, Error>;
  // The watches' state has to come after that of the reset.
  struct Places {
    hotplug::Placement reset;
    hotplug::Placement watches;
  };

  // Everything given outlives the facility.
  HwBreakpoint(hotplug::StateMachine<Port>& machine, Debug& debug, const Places& places)
      : machine_(machine), debug_(debug), places_(places), slots_(debug.architecture()) {}
  HwBreakpoint(const HwBreakpoint&) = delete;
  HwBreakpoint& operator=(const HwBreakpoint&) = delete;

  // Resets every online CPU. Errors: not_supported (debug_err_mask has the CPUs that failed;
  // nothing is left behind), wrong_state (it is enabled), those of setup_state.
  [[nodiscard]] Outcome enable() {
    const std::lock_guard facility(mutex_);
    if (reset_.owns_state()) return std::unexpected(Error{ErrorCode::wrong_state});
    if (const auto registered = register_reset(); !registered) return registered;
    auto watches =
        machine_.setup_state_multi({.name = "hw_breakpoint:watches",
                                    .placement = places_.watches,
                                    .startup = hotplug::method<&HwBreakpoint::install>,
                                    .teardown = hotplug::method<&HwBreakpoint::remove_on>,
                                    .object = this});
    if (!watches) {
      // Its state has no teardown, so that nothing can fail.
      [[maybe_unused]] const auto removed = machine_.remove_state_nocalls(reset_);
      return std::unexpected(watches.error());
    }
    watches_ = *std::move(watches);
    return {};
  }
  // Errors: instances_left while there are watches.
  [[nodiscard]] Outcome disable() {
    const std::lock_guard facility(mutex_);
    if (const auto removed = machine_.remove_state(watches_); !removed) return removed;
    return machine_.remove_state_nocalls(reset_);
  }
  [[nodiscard]] bool is_enabled() {
    const std::lock_guard facility(mutex_);
    return watches_.owns_state();
  }

  // The CPUs whose last reset failed. Waits for an enable() that is under way: half of its CPUs
  // would be no answer.
  [[nodiscard]] CpuSet debug_err_mask() {
    const std::lock_guard facility(mutex_);
    const std::shared_lock lock(machine_.online_cpus());
    return debug_err_mask_;
  }

  // Installs the watch on every CPU. Errors: wrong_state (not enabled), duplicate (it is added);
  // those of make_plan; no_free_slot; the port's, and then it is installed nowhere.
  [[nodiscard]] Outcome add(CpuWatch& watch, const Request& request) {
    const std::lock_guard facility(mutex_);
    if (!watches_.owns_state()) return std::unexpected(Error{ErrorCode::wrong_state});
    if (watch.is_added()) return std::unexpected(Error{ErrorCode::duplicate});
    const auto plan = make_plan(request, debug_.architecture());
    if (!plan) return std::unexpected(plan.error());
    const auto reservation = slots_.reserve(*plan);
    if (!reservation) return std::unexpected(reservation.error());
    watch.request_ = request;
    watch.plan_ = *plan;
    watch.reservation_ = *reservation;
    const Outcome added = machine_.add_instance(watches_, watch);
    if (!added) give_back(watch);
    return added;
  }
  // Errors: not_reserved (it is not added here).
  [[nodiscard]] Outcome remove(CpuWatch& watch) {
    const std::lock_guard facility(mutex_);
    const Outcome removed = machine_.remove_instance(watches_, watch);
    if (!watch.is_added() && (removed || removed.error().code == ErrorCode::teardown_failed))
      give_back(watch);
    return removed;
  }
  [[nodiscard]] std::size_t free_slots(bool code) {
    const std::lock_guard facility(mutex_);
    return slots_.free_slots(code);
  }

 private:
  // The founding problem. The look at the mask and the removal are one step with the registration.
  [[nodiscard]] Outcome register_reset() {
    const std::shared_lock lock(machine_.online_cpus());
    debug_err_mask_ = {};
    auto made = machine_.setup_state_cpuslocked({.name = "hw_breakpoint:reset",
                                                 .placement = places_.reset,
                                                 .startup = hotplug::method<&HwBreakpoint::reset>,
                                                 .object = this});
    if (!made) return std::unexpected(made.error());
    reset_ = *std::move(made);
    if (debug_err_mask_.empty()) return {};
    [[maybe_unused]] const auto removed = machine_.remove_state_nocalls_cpuslocked(reset_);
    return std::unexpected(Error{ErrorCode::not_supported});
  }

  // Hotplug callbacks: one at a time. Nobody reads the mask meanwhile: they run under mutex_, which
  // whoever asked for them holds, or under the machine's write lock.
  Outcome reset(const hotplug::CallbackContext& context) {
    debug_err_mask_.erase(context.cpu);
    if (!debug_.reset_ctrl_regs()) debug_err_mask_.insert(context.cpu);
    return {};
  }
  Outcome install(const hotplug::CallbackContext& context) {
    if (debug_err_mask_.contains(context.cpu)) return {};
    const CpuWatch& watch = *static_cast<CpuWatch*>(context.instance);
    for (std::size_t index = 0; index < watch.registers().size(); ++index) {
      const Outcome installed = debug_.install(watch.slot(index));
      if (installed) continue;
      remove_first(watch, index);
      return installed;
    }
    return {};
  }
  Outcome remove_on(const hotplug::CallbackContext& context) {
    // What is gone has no registers.
    if (!context.on_cpu || debug_err_mask_.contains(context.cpu)) return {};
    const CpuWatch& watch = *static_cast<CpuWatch*>(context.instance);
    remove_first(watch, watch.registers().size());
    return {};
  }
  void remove_first(const CpuWatch& watch, std::size_t count) {
    while (count-- > 0) debug_.remove(watch.slot(count));
  }
  void give_back(CpuWatch& watch) {
    // It was reserved with this very plan.
    [[maybe_unused]] const auto released = slots_.release(watch.reservation_, watch.plan_);
  }

  hotplug::StateMachine<Port>& machine_;
  Debug& debug_;
  Places places_;
  // Guards all of the below, and what is the facility's of each watch; taken before the machine's
  // locks. Callbacks are called under it, or under the machine's write lock: they do not take it.
  typename Port::Mutex mutex_;
  hotplug::StateHandle reset_;
  hotplug::StateHandle watches_;
  CpuSet debug_err_mask_;
  SlotTable slots_;
};

}  // namespace trapline
