// StateMachine's states and instances: setup, removal, and running them on the CPUs past them.
// Included by state_machine.h only.
#pragma once

#include "trapline/hotplug/state_machine.h"

namespace trapline::hotplug {

template <typename Port>
auto StateMachine<Port>::setup(const StateDefinition& definition, SetupForm form) -> SetupResult {
  if (const auto allowed = check_caller(true); !allowed) return std::unexpected(allowed.error());
  const std::lock_guard lock(state_mutex_);
  const auto number = table_.reserve(definition, form.multi);
  if (!number) return std::unexpected(number.error());
  if (form.calls) {
    if (const auto started = start_everywhere(*number, nullptr); !started) {
      release(*number);
      return std::unexpected(started.error());
    }
  }
  return StateHandle(this, &remove_or_bug, *number, table_.at(*number).generation);
}

template <typename Port>
auto StateMachine<Port>::remove(StateHandle& handle, bool calls) -> Outcome {
  if (const auto allowed = check_caller(true); !allowed) return allowed;
  const std::lock_guard lock(state_mutex_);
  if (const auto valid = check_handle(handle); !valid) return valid;
  const StateRecord& state = table_.at(handle.number());
  if (!state.instances.empty()) return std::unexpected(Error{ErrorCode::instances_left});
  const bool has_run = calls && !state.is_multi;
  const Outcome stopped = has_run ? stop_everywhere(handle.number(), nullptr) : Outcome{};
  release(handle.number());
  handle.forget();
  return stopped;
}

// A failure that was asked for goes with its state: the number's next owner has not earned it.
template <typename Port>
void StateMachine<Port>::release(StateNumber number) {
  for (CpuRecord& cpu : cpus_) {
    if (cpu.fail_at == number) cpu.fail_at.reset();
  }
  table_.release(number);
}

template <typename Port>
auto StateMachine<Port>::add(const StateHandle& handle, Instance& instance, bool calls) -> Outcome {
  if (const auto allowed = check_caller(true); !allowed) return allowed;
  const std::lock_guard lock(state_mutex_);
  if (const auto valid = check_handle(handle); !valid) return valid;
  StateRecord& state = table_.at(handle.number());
  if (!state.is_multi) return std::unexpected(Error{ErrorCode::not_multi_instance});
  if (instance.is_added()) return std::unexpected(Error{ErrorCode::duplicate});
  if (calls) {
    if (const auto started = start_everywhere(handle.number(), &instance); !started) return started;
  }
  state.instances.append(instance);
  return {};
}

template <typename Port>
auto StateMachine<Port>::drop(const StateHandle& handle, Instance& instance, bool calls)
    -> Outcome {
  if (const auto allowed = check_caller(true); !allowed) return allowed;
  const std::lock_guard lock(state_mutex_);
  if (const auto valid = check_handle(handle); !valid) return valid;
  StateRecord& state = table_.at(handle.number());
  if (!state.is_multi) return std::unexpected(Error{ErrorCode::not_multi_instance});
  if (!state.instances.contains(instance)) return std::unexpected(Error{ErrorCode::not_reserved});
  const Outcome stopped = calls ? stop_everywhere(handle.number(), &instance) : Outcome{};
  state.instances.remove(instance);
  return stopped;
}

template <typename Port>
auto StateMachine<Port>::check_handle(const StateHandle& handle) const -> Outcome {
  if (!handle.owns_state()) return std::unexpected(Error{ErrorCode::not_reserved});
  if (handle.machine_ != this) return std::unexpected(Error{ErrorCode::foreign_state});
  const StateRecord& state = table_.at(handle.number());
  if (!state.in_use || state.generation != handle.generation_)
    return std::unexpected(Error{ErrorCode::foreign_state});
  return {};
}

template <typename Port>
void StateMachine<Port>::remove_or_bug(void* machine, StateHandle& handle) {
  auto& self = *static_cast<StateMachine*>(machine);
  const Outcome removed = self.remove_state(handle);
  if (removed || removed.error().code == ErrorCode::teardown_failed) return;
  self.port_.bug(
      "a hotplug state's handle died while the state could not be removed: it has instances left, "
      "or this context holds the read lock or runs a callback");
}

template <typename Port>
auto StateMachine<Port>::start_everywhere(StateNumber number, Instance* instance) -> Outcome {
  for (std::size_t index = 0; index < cpus_.size(); ++index) {
    const CpuId cpu{static_cast<std::uint32_t>(index)};
    if (const auto started = run_where_due(cpu, number, Direction::startup, instance); !started) {
      // The first error is the one to return.
      [[maybe_unused]] const auto stopped = stop_below(index, number, instance);
      return started;
    }
  }
  return {};
}

// Undoes start_everywhere on the CPUs below `end`, the last one first, whatever fails.
template <typename Port>
auto StateMachine<Port>::stop_below(std::size_t end, StateNumber number, Instance* instance)
    -> Outcome {
  Outcome outcome;
  for (std::size_t index = end; index-- > 0;) {
    const CpuId cpu{static_cast<std::uint32_t>(index)};
    if (run_where_due(cpu, number, Direction::teardown, instance)) continue;
    ++record(cpu).status.unsettled;
    outcome = std::unexpected(Error{ErrorCode::teardown_failed});
  }
  return outcome;
}

template <typename Port>
auto StateMachine<Port>::stop_everywhere(StateNumber number, Instance* instance) -> Outcome {
  return stop_below(cpus_.size(), number, instance);
}

// Runs one step on a CPU that is at the state or past it; nothing on others.
template <typename Port>
auto StateMachine<Port>::run_where_due(CpuId cpu, StateNumber number, Direction direction,
                                       Instance* instance) -> Outcome {
  if (record(cpu).status.state < number) return {};
  if (table_.at(number).callback(direction) == nullptr) return {};
  const Section section = *layout().section_of(number);
  if (section == Section::prepare) return run_step(cpu, number, direction, instance, Site{});
  return run_on_cpu(cpu, section,
                    [&](Site site) { return run_step(cpu, number, direction, instance, site); });
}

}  // namespace trapline::hotplug
