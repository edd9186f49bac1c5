// A second opinion on what a hotplug state machine does: one number at a time, everything in plain
// sight, no locks, no threads, no sections of a walk. To be compared with the real one.
#pragma once

#include <algorithm>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "contract/hotplug_operation.h"
#include "trapline/base/error.h"
#include "trapline/hotplug/state.h"

namespace trapline::contract {

class HotplugModel {
 public:
  struct Cpu {
    unsigned state = 0;
    unsigned target = 0;
    std::optional<ErrorCode> error = std::nullopt;
    unsigned failed_state = 0;
    unsigned unsettled = 0;
    bool did_not_arrive = false;
    bool is_online = false;
    bool is_powered = false;
    std::optional<unsigned> fail_at = std::nullopt;
    std::optional<ErrorCode> start_error = std::nullopt;
    std::optional<ErrorCode> stop_error = std::nullopt;
  };

  HotplugModel(const hotplug::StateLayout& layout, const HistoryScope& scope)
      : layout_(layout), scope_(scope), cpus_(scope.cpu_count), states_(layout.count()) {}

  // The error, or nothing. `calls()` then has the callbacks that ran, in order.
  std::optional<ErrorCode> apply(const Operation& it) {
    using Kind = Operation::Kind;
    calls_.clear();
    switch (it.kind) {
      case Kind::setup:
        return setup(it);
      case Kind::remove:
        return remove(it);
      case Kind::add_instance:
        return add(it);
      case Kind::remove_instance:
        return drop(it);
      case Kind::set_target:
        return move(it.cpu, it.number.value, How::asked);
      case Kind::lost:
        if (it.cpu < cpus_.size()) cpus_[it.cpu].is_powered = false;
        return move(it.cpu, 0, How::lost);
      case Kind::arrived:
        if (it.cpu < cpus_.size()) cpus_[it.cpu].is_powered = true;
        return move(it.cpu, top(), How::arrived);
      case Kind::fail_at:
        return fail_at(it.cpu, it.number.value);
      case Kind::fail_callback:
        plan_.add(it);
        return {};
      case Kind::fail_start:
        if (it.cpu < cpus_.size()) cpus_[it.cpu].start_error = it.error;
        return {};
      case Kind::fail_stop:
        if (it.cpu < cpus_.size()) cpus_[it.cpu].stop_error = it.error;
        return {};
      case Kind::disable:
        ++disabled_;
        return {};
      case Kind::enable:
        if (disabled_ == 0) return ErrorCode::wrong_state;
        --disabled_;
        return {};
    }
    return {};
  }
  [[nodiscard]] const std::vector<Call>& calls() const { return calls_; }
  [[nodiscard]] const std::vector<Cpu>& cpus() const { return cpus_; }
  [[nodiscard]] bool is_disabled() const { return disabled_ != 0; }
  // Where a state of the history is; nullopt: it is not set up.
  [[nodiscard]] std::optional<unsigned> number_of(unsigned state) const {
    for (unsigned number = 0; number < states_.size(); ++number) {
      if (states_[number].in_use && states_[number].state == state) return number;
    }
    return {};
  }

 private:
  enum class How : std::uint8_t { asked, arrived, lost };
  struct State {
    bool in_use = false;
    unsigned state = 0;
    bool is_multi = false;
    bool has_startup = false;
    bool has_teardown = false;
    std::vector<unsigned> instances;
  };
  using Result = std::optional<ErrorCode>;
  static constexpr auto kUp = hotplug::Direction::startup;
  static constexpr auto kDown = hotplug::Direction::teardown;

  [[nodiscard]] unsigned top() const { return layout_.online().value; }
  [[nodiscard]] std::optional<hotplug::Section> section(unsigned number) const {
    return layout_.section_of(hotplug::StateNumber{static_cast<std::uint16_t>(number)});
  }

  Result setup(const Operation& it) {
    if (number_of(it.state)) return ErrorCode::duplicate;
    const auto number = choose(it.placement);
    if (!number) return number.error();
    states_[*number] = {true, it.state, it.is_multi, it.has_startup, it.has_teardown, {}};
    if (it.is_multi || !it.calls) return {};
    const Result error = start_on_all(*number, {});
    if (error) free_state(*number);
    return error;
  }
  std::expected<unsigned, ErrorCode> choose(const hotplug::Placement& placement) const {
    const unsigned first = layout_.first_of(placement.section).value;
    const unsigned fixed = layout_.fixed_in(placement.section);
    if (placement.index) {
      if (*placement.index >= fixed) return std::unexpected(ErrorCode::bad_number);
      if (states_[first + *placement.index].in_use) return std::unexpected(ErrorCode::number_taken);
      return first + *placement.index;
    }
    const unsigned dynamic = layout_.dynamic_in(placement.section);
    if (dynamic == 0) return std::unexpected(ErrorCode::bad_number);
    for (unsigned number = first + fixed; number < first + fixed + dynamic; ++number) {
      if (!states_[number].in_use) return number;
    }
    return std::unexpected(ErrorCode::range_full);
  }
  Result remove(const Operation& it) {
    const auto number = number_of(it.state);
    if (!number) return ErrorCode::not_reserved;
    if (!states_[*number].instances.empty()) return ErrorCode::instances_left;
    Result error;
    if (it.calls && !states_[*number].is_multi) error = stop_on_all(*number, {});
    free_state(*number);
    return error;
  }
  void free_state(unsigned number) {
    states_[number] = {};
    for (Cpu& cpu : cpus_) {
      if (cpu.fail_at == number) cpu.fail_at.reset();
    }
  }
  Result add(const Operation& it) {
    const auto number = number_of(it.state);
    if (!number) return ErrorCode::not_reserved;
    if (!states_[*number].is_multi) return ErrorCode::not_multi_instance;
    for (const State& state : states_) {
      if (std::ranges::count(state.instances, *it.instance) != 0) return ErrorCode::duplicate;
    }
    if (it.calls) {
      if (const Result error = start_on_all(*number, it.instance)) return error;
    }
    states_[*number].instances.push_back(*it.instance);
    return {};
  }
  Result drop(const Operation& it) {
    const auto number = number_of(it.state);
    if (!number) return ErrorCode::not_reserved;
    if (!states_[*number].is_multi) return ErrorCode::not_multi_instance;
    if (std::ranges::count(states_[*number].instances, *it.instance) == 0)
      return ErrorCode::not_reserved;
    Result error;
    if (it.calls) error = stop_on_all(*number, it.instance);
    std::erase(states_[*number].instances, *it.instance);
    return error;
  }
  Result start_on_all(unsigned number, std::optional<unsigned> instance) {
    for (unsigned cpu = 0; cpu < cpus_.size(); ++cpu) {
      if (cpus_[cpu].state < number) continue;
      const Result error = step(cpu, number, kUp, instance, false);
      if (!error) continue;
      for (unsigned done = cpu; done-- > 0;) {
        if (cpus_[done].state >= number && step(done, number, kDown, instance, false))
          ++cpus_[done].unsettled;
      }
      return error;
    }
    return {};
  }
  Result stop_on_all(unsigned number, std::optional<unsigned> instance) {
    Result error;
    for (unsigned cpu = static_cast<unsigned>(cpus_.size()); cpu-- > 0;) {
      if (cpus_[cpu].state < number || !step(cpu, number, kDown, instance, false)) continue;
      ++cpus_[cpu].unsettled;
      error = ErrorCode::teardown_failed;
    }
    return error;
  }

  Result move(unsigned cpu, unsigned target, How how) {
    const bool can_rest = target <= top() && target != layout_.bringup().value &&
                          section(target) != hotplug::Section::starting;
    if (!can_rest) return ErrorCode::bad_number;
    if (how == How::asked && disabled_ != 0) return ErrorCode::hotplug_disabled;
    if (cpu >= cpus_.size()) return ErrorCode::cpu_not_present;
    Cpu& it = cpus_[cpu];
    if (it.state == target) return {};
    const auto online =
        std::ranges::count_if(cpus_, &Cpu::is_online) + (scope_.others_stay_online ? 1 : 0);
    if (how == How::asked && it.is_online && target < layout_.running().value && online == 1)
      return ErrorCode::last_cpu;
    const unsigned start = it.state;
    it.error = walk(cpu, target, how);
    it.target = it.error ? start : target;
    if (!it.error) return {};
    it.failed_state = start < target ? it.state + 1 : it.state;
    const Result first = it.error;
    if (walk(cpu, start, how)) it.target = it.state;
    return first;
  }
  Result walk(unsigned cpu, unsigned target, How how) {
    Cpu& it = cpus_[cpu];
    for (; it.state < target; ++it.state) {
      if (const Result error = enter(cpu, it.state + 1)) return error;
    }
    for (; it.state > target; --it.state) {
      if (const Result error = leave(cpu, it.state, how)) return error;
    }
    return {};
  }
  Result enter(unsigned cpu, unsigned number) {
    Cpu& it = cpus_[cpu];
    if (number == layout_.running().value) it.is_online = true;
    if (number != layout_.bringup().value) return step(cpu, number, kUp, {}, false);
    const Result error = it.is_powered ? std::nullopt : std::exchange(it.start_error, {});
    it.did_not_arrive = error == ErrorCode::timed_out;
    it.is_powered = !error;
    return error;
  }
  Result leave(unsigned cpu, unsigned number, How how) {
    Cpu& it = cpus_[cpu];
    if (number == layout_.running().value) it.is_online = false;
    if (number != layout_.bringup().value) return step(cpu, number, kDown, {}, how == How::lost);
    if (how != How::asked) return {};
    const Result error = std::exchange(it.stop_error, {});
    it.is_powered = error.has_value();
    return error;
  }

  // What one number does for one CPU: all its instances, or the one given.
  Result step(unsigned cpu, unsigned number, hotplug::Direction direction,
              std::optional<unsigned> instance, bool is_lost) {
    const State& state = states_[number];
    if (!has_callback(state, direction)) return {};
    if (cpus_[cpu].fail_at == number && may_fail(number, direction, is_lost)) {
      cpus_[cpu].fail_at.reset();
      return ErrorCode::injected_failure;
    }
    if (!state.is_multi || instance) return call(cpu, number, direction, instance, is_lost);
    std::vector<unsigned> order = state.instances;
    if (direction == kDown) std::ranges::reverse(order);
    for (std::size_t index = 0; index < order.size(); ++index) {
      const Result error = call(cpu, number, direction, order[index], is_lost);
      if (!error) continue;
      const auto back = direction == kUp ? kDown : kUp;
      for (std::size_t done = index; has_callback(state, back) && done-- > 0;) {
        if (!call(cpu, number, back, order[done], is_lost)) continue;
        ++cpus_[cpu].unsettled;
        break;
      }
      return error;
    }
    return {};
  }
  Result call(unsigned cpu, unsigned number, hotplug::Direction direction,
              std::optional<unsigned> instance, bool is_lost) {
    const Call call{states_[number].state, cpu, instance, direction, is_lost};
    calls_.push_back(call);
    if (!plan_.take(call)) return {};
    if (may_fail(number, direction, is_lost)) return kCallbackError;
    ++cpus_[cpu].unsettled;
    return {};
  }
  static bool has_callback(const State& state, hotplug::Direction direction) {
    return state.in_use && (direction == kUp ? state.has_startup : state.has_teardown);
  }
  [[nodiscard]] bool may_fail(unsigned number, hotplug::Direction direction, bool is_lost) const {
    if (is_lost) return false;
    return section(number) == hotplug::Section::online ||
           (section(number) == hotplug::Section::prepare && direction == kUp);
  }
  Result fail_at(unsigned cpu, unsigned number) {
    if (cpu >= cpus_.size()) return ErrorCode::cpu_not_present;
    if (!section(number)) return ErrorCode::bad_number;
    const State& state = states_[number];
    if (!(has_callback(state, kUp) && may_fail(number, kUp, false)) &&
        !(has_callback(state, kDown) && may_fail(number, kDown, false)))
      return ErrorCode::cannot_fail;
    cpus_[cpu].fail_at = number;
    return {};
  }

  hotplug::StateLayout layout_;
  HistoryScope scope_;
  std::vector<Cpu> cpus_;
  std::vector<State> states_;
  FailurePlan plan_;
  unsigned disabled_ = 0;
  std::vector<Call> calls_;
};

}  // namespace trapline::contract
