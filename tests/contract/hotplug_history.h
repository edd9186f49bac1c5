// Runs a random history on a real state machine and on the reference model, and compares what each
// call answers, which callbacks run and where every CPU is, step by step. For any port.
//
//     const auto difference = run_history(adapter, seed, 40);
//     EXPECT_EQ(difference, std::nullopt);
//
// An adapter is made for one history and has
//     machine()                the StateMachine; the history's CPUs offline, no states
//     scope()                  HistoryScope: what follows below its first line is called only if
//                              the scope says so
//     cpu(index)               the CpuId of index < scope().cpu_count, ascending; of
//                              scope().cpu_count, one the machine has no room for
//     fail_start(cpu, code), fail_stop(cpu, code)   once; a start only if the CPU is off
//     lose(cpu), arrive(cpu)   the hardware's part; the history then tells the machine
#pragma once

#include <array>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "contract/hotplug_model.h"
#include "contract/hotplug_operation.h"
#include "trapline/hotplug/state_machine.h"

namespace trapline::contract {

template <typename Adapter>
class HistoryRun {
 public:
  HistoryRun(Adapter& adapter, std::uint64_t seed)
      : adapter_(adapter),
        machine_(adapter.machine()),
        scope_(adapter.scope()),
        model_(machine_.layout(), scope_),
        generator_(seed, scope_, machine_.layout()) {
    for (unsigned index = 0; index < kStates; ++index) states_[index].index = index;
    for (unsigned index = 0; index < kInstances; ++index) instances_[index].index = index;
  }
  HistoryRun(const HistoryRun&) = delete;
  HistoryRun& operator=(const HistoryRun&) = delete;

  // The first difference, as text.
  [[nodiscard]] std::optional<std::string> run(unsigned length) {
    for (unsigned step = 0; step < length; ++step) {
      if (auto difference = compare(generator_.next())) return difference;
    }
    return end();
  }
  // Lets go of what a history that went wrong has left.
  void abandon() {
    for (Instance& instance : instances_) {
      for (State& state : states_)
        static_cast<void>(machine_.remove_instance_nocalls(state.handle, instance));
    }
    for (State& state : states_) static_cast<void>(machine_.remove_state_nocalls(state.handle));
  }

 private:
  struct State {
    HistoryRun* run = nullptr;
    unsigned index = 0;
    hotplug::StateHandle handle;
    std::string name;
  };
  struct Instance : hotplug::Instance {
    unsigned index = 0;
  };

  // Removing everything is part of it, and so is leaving no CPU up that can go.
  [[nodiscard]] std::optional<std::string> end() {
    for (unsigned state = 0; state < kStates; ++state) {
      for (unsigned instance = 0; instance < kInstances; ++instance) {
        if (auto difference = compare(
                {.kind = Operation::Kind::remove_instance, .state = state, .instance = instance}))
          return difference;
      }
      if (auto difference = compare({.kind = Operation::Kind::remove, .state = state}))
        return difference;
    }
    while (model_.is_disabled()) {
      if (auto difference = compare({.kind = Operation::Kind::enable})) return difference;
    }
    // Twice: the first time a stop may fail that was told to.
    for (unsigned turn = 0; turn < 2; ++turn) {
      for (unsigned cpu = 0; cpu < scope_.cpu_count; ++cpu) {
        if (auto difference = compare({.kind = Operation::Kind::set_target, .cpu = cpu}))
          return difference;
      }
    }
    return {};
  }

  [[nodiscard]] std::optional<std::string> compare(const Operation& operation) {
    told_ += text_of(operation) + "\n";
    calls_.clear();
    const auto expected_error = model_.apply(operation);
    const auto error = apply(operation);
    const std::string expected = expected_state(expected_error);
    const std::string actual = actual_state(error);
    if (expected == actual) return {};
    return told_ + "the model:\n" + expected + "the machine:\n" + actual;
  }

  [[nodiscard]] std::string expected_state(std::optional<ErrorCode> error) const {
    std::string text = result_line(error, model_.calls());
    for (unsigned state = 0; state < kStates; ++state) {
      if (const auto number = model_.number_of(state)) text += state_line(state, *number);
    }
    for (const HotplugModel::Cpu& cpu : model_.cpus()) {
      text += cpu_line(cpu.state, cpu.target, cpu.error, cpu.failed_state, cpu.unsettled,
                       cpu.did_not_arrive, cpu.is_online);
    }
    return text;
  }
  [[nodiscard]] std::string actual_state(std::optional<ErrorCode> error) {
    std::string text = result_line(error, calls_);
    for (const State& state : states_) {
      if (state.handle.owns_state()) text += state_line(state.index, state.handle.number().value);
    }
    for (unsigned index = 0; index < scope_.cpu_count; ++index) {
      const CpuId cpu = adapter_.cpu(index);
      const auto status = machine_.status(cpu);
      if (!status) return text + "no status of cpu" + std::to_string(index) + "\n";
      const std::shared_lock lock(machine_.online_cpus());
      text += cpu_line(status->state.value, status->target.value,
                       status->error ? std::optional(status->error->code) : std::nullopt,
                       status->failed_state.value, status->unsettled, status->did_not_arrive,
                       machine_.online_cpus().cpus().contains(cpu));
    }
    return text;
  }
  [[nodiscard]] static std::string result_line(std::optional<ErrorCode> error,
                                               const std::vector<Call>& calls) {
    std::string text = error ? std::string(name_of(*error)) : "ok";
    for (const Call& call : calls) text += " " + text_of(call);
    return text + "\n";
  }
  [[nodiscard]] static std::string state_line(unsigned state, unsigned number) {
    return "s" + std::to_string(state) + " is " + std::to_string(number) + "\n";
  }
  [[nodiscard]] static std::string cpu_line(unsigned state, unsigned target,
                                            std::optional<ErrorCode> error, unsigned failed_state,
                                            unsigned unsettled, bool did_not_arrive,
                                            bool is_online) {
    std::string text = "at " + std::to_string(state) + " to " + std::to_string(target);
    if (error) text += " " + std::string(name_of(*error)) + " in " + std::to_string(failed_state);
    if (unsettled != 0) text += " unsettled " + std::to_string(unsettled);
    if (did_not_arrive) text += " did not arrive";
    return text + (is_online ? " online\n" : "\n");
  }

  template <typename Result>
  [[nodiscard]] static std::optional<ErrorCode> error_of(const Result& result) {
    return result ? std::nullopt : std::optional(result.error().code);
  }
  [[nodiscard]] std::optional<ErrorCode> apply(const Operation& it) {
    using Kind = Operation::Kind;
    const CpuId cpu = adapter_.cpu(it.cpu);
    hotplug::StateHandle& handle = states_[it.state].handle;
    switch (it.kind) {
      case Kind::setup:
        return setup(it);
      case Kind::remove:
        return error_of(it.calls ? machine_.remove_state(handle)
                                 : machine_.remove_state_nocalls(handle));
      case Kind::add_instance:
        return error_of(it.calls ? machine_.add_instance(handle, instances_[*it.instance])
                                 : machine_.add_instance_nocalls(handle, instances_[*it.instance]));
      case Kind::remove_instance:
        return error_of(it.calls
                            ? machine_.remove_instance(handle, instances_[*it.instance])
                            : machine_.remove_instance_nocalls(handle, instances_[*it.instance]));
      case Kind::set_target:
        if (it.number == machine_.layout().online()) return error_of(machine_.cpu_up(cpu));
        if (it.number == hotplug::StateLayout::offline()) return error_of(machine_.cpu_down(cpu));
        return error_of(machine_.set_target(cpu, it.number));
      case Kind::lost:
        prepare_hardware(it, cpu);
        return error_of(machine_.cpu_lost(cpu));
      case Kind::arrived:
        prepare_hardware(it, cpu);
        return error_of(machine_.cpu_arrived(cpu));
      case Kind::fail_at:
        return error_of(machine_.fail_at(cpu, it.number));
      case Kind::fail_callback:
        plan_.add(it);
        return {};
      case Kind::fail_start:
      case Kind::fail_stop:
        prepare_hardware(it, cpu);
        return {};
      case Kind::disable:
        return error_of(machine_.hotplug_disable());
      case Kind::enable:
        return error_of(machine_.hotplug_enable());
    }
    return {};
  }
  // An adapter need not have what its scope leaves out.
  void prepare_hardware(const Operation& it, CpuId cpu) {
    using Kind = Operation::Kind;
    if (it.cpu >= scope_.cpu_count) return;
    if constexpr (requires { adapter_.lose(cpu), adapter_.arrive(cpu); }) {
      if (it.kind == Kind::lost) adapter_.lose(cpu);
      if (it.kind == Kind::arrived) adapter_.arrive(cpu);
    }
    if constexpr (requires {
                    adapter_.fail_start(cpu, it.error), adapter_.fail_stop(cpu, it.error);
                  }) {
      if (it.kind == Kind::fail_start) adapter_.fail_start(cpu, it.error);
      if (it.kind == Kind::fail_stop) adapter_.fail_stop(cpu, it.error);
    }
  }
  [[nodiscard]] std::optional<ErrorCode> setup(const Operation& it) {
    State& state = states_[it.state];
    if (state.handle.owns_state()) return ErrorCode::duplicate;
    state.run = this;
    state.name = "s" + std::to_string(state.index);
    const hotplug::StateDefinition definition{.name = state.name,
                                              .placement = it.placement,
                                              .startup = it.has_startup ? &on_call : nullptr,
                                              .teardown = it.has_teardown ? &on_call : nullptr,
                                              .object = &state};
    auto made = it.is_multi ? machine_.setup_state_multi(definition)
                : it.calls  ? machine_.setup_state(definition)
                            : machine_.setup_state_nocalls(definition);
    if (!made) return made.error().code;
    state.handle = std::move(*made);
    return {};
  }
  static std::expected<void, Error> on_call(const hotplug::CallbackContext& context) {
    const State& state = *static_cast<State*>(context.object);
    HistoryRun& run = *state.run;
    Call call{
        .state = state.index, .direction = context.direction, .cpu_is_lost = context.cpu_is_lost};
    while (call.cpu < run.scope_.cpu_count && run.adapter_.cpu(call.cpu) != context.cpu) ++call.cpu;
    if (call.cpu == run.scope_.cpu_count) return {};  // one of the others
    if (context.instance != nullptr)
      call.instance = static_cast<Instance*>(context.instance)->index;
    run.calls_.push_back(call);
    if (!run.plan_.take(call)) return {};
    return std::unexpected(Error{kCallbackError});
  }

  Adapter& adapter_;
  decltype(adapter_.machine()) machine_;
  HistoryScope scope_;
  HotplugModel model_;
  OperationGenerator generator_;
  std::array<Instance, kInstances> instances_;
  std::array<State, kStates> states_;
  FailurePlan plan_;
  std::vector<Call> calls_;
  std::string told_;  // the operations so far
};

// nullopt: no difference.
template <typename Adapter>
[[nodiscard]] std::optional<std::string> run_history(Adapter& adapter, std::uint64_t seed,
                                                     unsigned length) {
  HistoryRun<Adapter> run(adapter, seed);
  auto difference = run.run(length);
  if (!difference) return {};
  run.abandon();
  return "seed " + std::to_string(seed) + ":\n" + *difference;
}

}  // namespace trapline::contract
