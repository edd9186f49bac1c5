// StateMachine's CPUs: walking up and down the states, undoing, and calling back. Included by
// state_machine.h only.
#pragma once

#include <algorithm>

#include "trapline/hotplug/state_machine.h"

namespace trapline::hotplug {

namespace detail {
constexpr StateNumber above(StateNumber number) {
  return StateNumber{static_cast<std::uint16_t>(number.value + 1)};
}
constexpr StateNumber below(StateNumber number) {
  return StateNumber{static_cast<std::uint16_t>(number.value - 1)};
}
}  // namespace detail

// Whether what is asked of a CPU can be tried. Under the control mutex.
template <typename Port>
auto StateMachine<Port>::check_request(CpuId cpu, StateNumber target) -> Outcome {
  if (disabled_ != 0) return std::unexpected(Error{ErrorCode::hotplug_disabled});
  if (!exists(cpu)) return std::unexpected(Error{ErrorCode::cpu_not_present});
  const bool takes_it_away =
      target < layout().running() && record(cpu).status.state >= layout().running();
  if (takes_it_away && online_cpus_.cpus().count() == 1)
    return std::unexpected(Error{ErrorCode::last_cpu});
  return {};
}

// Under the control mutex: nobody else changes a CPU.
template <typename Port>
auto StateMachine<Port>::change_cpu(CpuId cpu, StateNumber target, Departure departure) -> Outcome {
  if (record(cpu).status.state == target) return {};
  online_cpus_.write_lock();
  const Outcome outcome = transition(cpu, target, departure);
  online_cpus_.write_unlock();
  return outcome;
}

template <typename Port>
auto StateMachine<Port>::transition(CpuId cpu, StateNumber target, Departure departure) -> Outcome {
  CpuStatus& status = record(cpu).status;
  const StateNumber start = status.state;
  const bool is_lost = departure == Departure::lost;
  const bool upwards = start < target;
  const Nanoseconds begin = port_.now();
  trace({.kind = TraceEvent::Kind::transition_begin,
         .cpu = cpu,
         .state = target,
         .from = start,
         .direction = upwards ? Direction::startup : Direction::teardown,
         .cpu_is_lost = is_lost});
  status.target = target;
  const Outcome outcome = upwards ? raise(cpu, target) : lower(cpu, target, departure);
  if (outcome) {
    status.error.reset();
  } else {
    status.error = outcome.error();
    status.failed_state = upwards ? detail::above(status.state) : status.state;
    status.target = start;
    // An error on the way back ends it there; the first error is the one to return.
    const Outcome undone = upwards ? lower(cpu, start, departure) : raise(cpu, start);
    if (!undone) status.target = status.state;
  }
  const Nanoseconds end = port_.now();
  status.changed_at = end;
  status.transition_duration = Nanoseconds{end.value - begin.value};
  trace({.kind = TraceEvent::Kind::transition_end,
         .cpu = cpu,
         .state = status.state,
         .from = start,
         .direction = upwards ? Direction::startup : Direction::teardown,
         .cpu_is_lost = is_lost,
         .error = status.error,
         .duration = status.transition_duration});
  return outcome;
}

template <typename Port>
auto StateMachine<Port>::raise(CpuId cpu, StateNumber target) -> Outcome {
  CpuStatus& status = record(cpu).status;
  while (status.state < target) {
    const StateNumber next = detail::above(status.state);
    if (const auto section = layout().section_of(next)) {
      if (const auto walked = walk_section(cpu, *section, target, false); !walked) return walked;
      continue;
    }
    if (next == layout().bringup()) {
      const Outcome started = port_.start_cpu(cpu);
      status.did_not_arrive = !started && started.error().code == ErrorCode::timed_out;
      if (!started) return started;
    } else if (next == layout().running()) {
      online_cpus_.cpus_.insert(cpu);
    }
    status.state = next;
  }
  return {};
}

template <typename Port>
auto StateMachine<Port>::lower(CpuId cpu, StateNumber target, Departure departure) -> Outcome {
  CpuStatus& status = record(cpu).status;
  const bool is_lost = departure == Departure::lost;
  while (status.state > target) {
    if (const auto section = layout().section_of(status.state)) {
      if (const auto walked = walk_section(cpu, *section, target, is_lost); !walked) return walked;
      continue;
    }
    if (status.state == layout().running()) {
      online_cpus_.cpus_.erase(cpu);
    } else if (status.state == layout().bringup()) {
      if (const auto left = leave_bringup(cpu, departure); !left) return left;
    }
    status.state = detail::below(status.state);
  }
  return {};
}

template <typename Port>
auto StateMachine<Port>::leave_bringup(CpuId cpu, Departure departure) -> Outcome {
  if (departure == Departure::stopped) return port_.stop_cpu(cpu);
  port_.release_cpu(cpu);
  return {};
}

// Walks towards `target` as far as this section goes, in one piece on the thread the section runs
// on.
template <typename Port>
auto StateMachine<Port>::walk_section(CpuId cpu, Section section, StateNumber target, bool is_lost)
    -> Outcome {
  const StateNumber first = layout().first_of(section);
  const StateNumber last{static_cast<std::uint16_t>(first.value + layout().fixed_in(section) +
                                                    layout().dynamic_in(section) - 1)};
  const StateNumber end = std::clamp(target, detail::below(first), last);
  if (section == Section::prepare || is_lost) return walk(cpu, end, Site{.is_lost = is_lost});
  return run_on_cpu(cpu, section, [&](Site site) { return walk(cpu, end, site); });
}

// Runs work(Site) on the CPU's hotplug thread, as its section asks, and returns its outcome.
template <typename Port>
template <typename Work>
auto StateMachine<Port>::run_on_cpu(CpuId cpu, Section section, Work work) -> Outcome {
  struct Call {
    Work& work;
    Outcome outcome;
  } call{work, {}};
  port_.run_on(cpu, section == Section::starting ? Interrupts::masked : Interrupts::enabled,
               {[](void* argument, bool on_cpu) {
                  auto& it = *static_cast<Call*>(argument);
                  it.outcome = it.work(Site{.on_cpu = on_cpu});
                },
                &call});
  return call.outcome;
}

// Steps to `end`, within one section. After an error the CPU is at the last state that stands.
template <typename Port>
auto StateMachine<Port>::walk(CpuId cpu, StateNumber end, Site site) -> Outcome {
  CpuStatus& status = record(cpu).status;
  while (status.state < end) {
    const StateNumber next = detail::above(status.state);
    if (const auto run = run_step(cpu, next, Direction::startup, nullptr, site); !run) return run;
    status.state = next;
  }
  while (status.state > end) {
    if (const auto run = run_step(cpu, status.state, Direction::teardown, nullptr, site); !run)
      return run;
    status.state = detail::below(status.state);
  }
  return {};
}

// One state on one CPU: its callback, or that of each instance (`only`: of this one).
template <typename Port>
auto StateMachine<Port>::run_step(CpuId cpu, StateNumber number, Direction direction,
                                  Instance* only, Site site) -> Outcome {
  const StateRecord& state = table_.at(number);
  if (state.callback(direction) == nullptr) return {};
  if (may_fail(number, direction, site) && take_injection(cpu, number)) {
    const Error error{ErrorCode::injected_failure};
    trace({.kind = TraceEvent::Kind::exit,
           .cpu = cpu,
           .state = number,
           .name = state.definition.name,
           .direction = direction,
           .instance = only,
           .error = error});
    return std::unexpected(error);
  }
  if (state.is_multi && only == nullptr) return run_instances(cpu, number, direction, site);
  return call(cpu, number, direction, only, site);
}

// Startup in the order added, teardown in reverse. If one fails, those before it are put back, in
// reverse; an error there ends that.
template <typename Port>
auto StateMachine<Port>::run_instances(CpuId cpu, StateNumber number, Direction direction,
                                       Site site) -> Outcome {
  const bool forward = direction == Direction::startup;
  const InstanceList& instances = table_.at(number).instances;
  const auto step = [](Instance& instance, bool ahead) {
    return ahead ? InstanceList::next(instance) : InstanceList::previous(instance);
  };
  for (Instance* it = forward ? instances.first() : instances.last(); it != nullptr;
       it = step(*it, forward)) {
    const Outcome outcome = call(cpu, number, direction, it, site);
    if (outcome) continue;
    const Direction back = forward ? Direction::teardown : Direction::startup;
    if (table_.at(number).callback(back) == nullptr) return outcome;
    for (Instance* done = step(*it, !forward); done != nullptr; done = step(*done, !forward)) {
      if (call(cpu, number, back, done, site)) continue;
      ++record(cpu).status.unsettled;
      break;
    }
    return outcome;
  }
  return {};
}

template <typename Port>
auto StateMachine<Port>::call(CpuId cpu, StateNumber number, Direction direction,
                              Instance* instance, Site site) -> Outcome {
  const StateDefinition& definition = table_.at(number).definition;
  TraceEvent event{.kind = TraceEvent::Kind::enter,
                   .cpu = cpu,
                   .state = number,
                   .name = definition.name,
                   .direction = direction,
                   .instance = instance,
                   .cpu_is_lost = site.is_lost};
  trace(event);
  Slot& slot = port_.reader_slot();
  begin_running(cpu, number);
  slot.in_callback = true;
  const Nanoseconds begin = port_.now();
  const Outcome outcome = table_.at(number).callback(direction)({.cpu = cpu,
                                                                 .direction = direction,
                                                                 .on_cpu = site.on_cpu,
                                                                 .cpu_is_lost = site.is_lost,
                                                                 .object = definition.object,
                                                                 .instance = instance});
  event.duration = Nanoseconds{port_.now().value - begin.value};
  slot.in_callback = false;
  end_running();
  event.kind = TraceEvent::Kind::exit;
  if (!outcome) event.error = outcome.error();
  trace(event);
  if (outcome || may_fail(number, direction, site)) return outcome;
  ++record(cpu).status.unsettled;
  return {};
}

template <typename Port>
bool StateMachine<Port>::may_fail(StateNumber number, Direction direction, Site site) const {
  if (site.is_lost) return false;
  const auto section = layout().section_of(number);
  return section == Section::online ||
         (section == Section::prepare && direction == Direction::startup);
}

template <typename Port>
bool StateMachine<Port>::take_injection(CpuId cpu, StateNumber number) {
  if (record(cpu).fail_at != number) return false;
  record(cpu).fail_at.reset();
  return true;
}

template <typename Port>
auto StateMachine<Port>::count_disabled(bool disable) -> Outcome {
  if (const auto allowed = check_caller(false); !allowed) return allowed;
  const std::lock_guard control(control_mutex_);
  if (!disable && disabled_ == 0) return std::unexpected(Error{ErrorCode::wrong_state});
  disabled_ += disable ? 1U : static_cast<std::uint32_t>(-1);
  return {};
}

template <typename Port>
void StateMachine<Port>::begin_running(CpuId cpu, StateNumber number) {
  const std::string_view name = table_.at(number).definition.name;
  // Each pairs with its acquire in check_hung: who sees one of these sees that the callback before
  // has ended, too.
  running_.since.store(port_.now().value, std::memory_order_release);
  running_.cpu.store(cpu.value, std::memory_order_release);
  running_.state.store(number.value, std::memory_order_release);
  // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): its length goes with it
  running_.name.store(name.data(), std::memory_order_release);
  running_.name_length.store(name.size(), std::memory_order_release);
  // Pairs with the acquire in check_hung, which looks at the fields only while this is odd.
  running_.sequence.fetch_add(1, std::memory_order_release);
}

template <typename Port>
void StateMachine<Port>::check_hung(Nanoseconds limit) {
  const std::uint32_t sequence = running_.sequence.load(std::memory_order_acquire);
  if (sequence % 2 == 0 || running_.reported.load(std::memory_order_relaxed) == sequence) return;
  const Nanoseconds now = port_.now();
  const std::uint64_t since = running_.since.load(std::memory_order_acquire);
  TraceEvent event{.kind = TraceEvent::Kind::hung,
                   .cpu = CpuId{running_.cpu.load(std::memory_order_acquire)},
                   .state = StateNumber{running_.state.load(std::memory_order_acquire)},
                   .name = {running_.name.load(std::memory_order_acquire),
                            running_.name_length.load(std::memory_order_acquire)},
                   .duration = Nanoseconds{now.value - std::min(now.value, since)}};
  // A callback that has returned meanwhile may have left half of another one's fields.
  if (running_.sequence.load(std::memory_order_relaxed) != sequence || event.duration <= limit)
    return;
  running_.reported.store(sequence, std::memory_order_relaxed);
  trace(event);
}

}  // namespace trapline::hotplug
