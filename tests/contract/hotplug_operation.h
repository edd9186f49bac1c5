// The steps of a random history of a hotplug state machine, as plain values: for the reference
// model (hotplug_model.h) and for the real thing (hotplug_history.h) alike.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "trapline/base/error.h"
#include "trapline/hotplug/state.h"

namespace trapline::contract {

// A history has so many states and instances that it refers to by index. CPUs too: index N of N
// CPUs is one that does not exist.
inline constexpr unsigned kStates = 4;
inline constexpr unsigned kInstances = 4;

struct Operation {
  enum class Kind : std::uint8_t {
    setup,            // state, placement, is_multi, calls, has_startup, has_teardown
    remove,           // state, calls
    add_instance,     // state, instance, calls
    remove_instance,  // state, instance, calls
    set_target,       // cpu, number; cpu_up and cpu_down where it is one of them
    lost,             // cpu: the machine loses it, and says so
    arrived,          // cpu
    fail_at,          // cpu, number
    fail_callback,    // state's next callback for cpu in direction (of instance, or whichever)
    fail_start,       // the next time cpu is started, with error
    fail_stop,        // likewise stopped
    disable,
    enable,
  };
  Kind kind{};
  unsigned state = 0;
  unsigned cpu = 0;
  std::optional<unsigned> instance = std::nullopt;
  hotplug::StateNumber number{};
  hotplug::Placement placement{};
  hotplug::Direction direction{};
  bool is_multi = false;
  bool calls = true;
  bool has_startup = true;
  bool has_teardown = true;
  ErrorCode error{};
};

// What a machine can be made to do besides hotplug operations.
struct HistoryScope {
  unsigned cpu_count = 1;
  bool start_and_stop_fail = false;
  bool cpus_come_and_go = false;    // by somebody else's doing
  bool others_stay_online = false;  // CPUs besides these: none of these is ever the last
};

// One call of a callback.
struct Call {
  unsigned state = 0;
  unsigned cpu = 0;
  std::optional<unsigned> instance = std::nullopt;
  hotplug::Direction direction{};
  bool cpu_is_lost = false;
};

// The callbacks that are to fail, each once.
class FailurePlan {
 public:
  void add(const Operation& operation) {
    calls_.push_back({operation.state, operation.cpu, operation.instance, operation.direction});
  }
  [[nodiscard]] bool take(const Call& call) {
    for (auto it = calls_.begin(); it != calls_.end(); ++it) {
      if (it->state != call.state || it->cpu != call.cpu || it->direction != call.direction ||
          (it->instance && it->instance != call.instance))
        continue;
      calls_.erase(it);
      return true;
    }
    return false;
  }

 private:
  std::vector<Call> calls_;
};

inline constexpr ErrorCode kCallbackError = ErrorCode::limit_reached;

inline std::string text_of(const Call& call) {
  std::string text = call.direction == hotplug::Direction::startup ? "+s" : "-s";
  text += std::to_string(call.state);
  if (call.instance) text += ".i" + std::to_string(*call.instance);
  text += "@" + std::to_string(call.cpu);
  return call.cpu_is_lost ? text + " lost" : text;
}

inline std::string text_of(const Operation& operation) {
  using Kind = Operation::Kind;
  const std::string state = " s" + std::to_string(operation.state);
  const std::string cpu = " cpu" + std::to_string(operation.cpu);
  const std::string number = " " + std::to_string(operation.number.value);
  const std::string instance = operation.instance ? " i" + std::to_string(*operation.instance) : "";
  const std::string calls = operation.calls ? "" : " nocalls";
  const std::string error = " " + std::string(name_of(operation.error));
  switch (operation.kind) {
    case Kind::setup:
      return "setup" + state + " " + std::string(name_of(operation.placement.section)) +
             (operation.placement.index ? " " + std::to_string(*operation.placement.index)
                                        : " dynamic") +
             (operation.is_multi ? " multi" : calls) +
             (operation.has_startup ? "" : " no-startup") +
             (operation.has_teardown ? "" : " no-teardown");
    case Kind::remove:
      return "remove" + state + calls;
    case Kind::add_instance:
      return "add" + state + instance + calls;
    case Kind::remove_instance:
      return "remove" + state + instance + calls;
    case Kind::set_target:
      return "target" + cpu + number;
    case Kind::lost:
      return "lost" + cpu;
    case Kind::arrived:
      return "arrived" + cpu;
    case Kind::fail_at:
      return "fail_at" + cpu + number;
    case Kind::fail_callback:
      return "fail next " +
             text_of(Call{operation.state, operation.cpu, operation.instance, operation.direction});
    case Kind::fail_start:
      return "fail next start" + cpu + error;
    case Kind::fail_stop:
      return "fail next stop" + cpu + error;
    case Kind::disable:
      return "disable";
    case Kind::enable:
      return "enable";
  }
  return "?";
}

// The same seed gives the same operations on every machine.
class OperationGenerator {
 public:
  OperationGenerator(std::uint64_t seed, const HistoryScope& scope,
                     const hotplug::StateLayout& layout)
      : random_(seed), scope_(scope), layout_(layout) {}

  [[nodiscard]] Operation next() {
    using Kind = Operation::Kind;
    static constexpr std::pair<Kind, unsigned> kWeights[] = {
        {Kind::setup, 14},      {Kind::remove, 5},         {Kind::add_instance, 20},
        {Kind::set_target, 30}, {Kind::fail_callback, 20}, {Kind::remove_instance, 5},
        {Kind::lost, 3},        {Kind::arrived, 3},        {Kind::fail_at, 5},
        {Kind::fail_start, 1},  {Kind::fail_stop, 1},      {Kind::disable, 1},
        {Kind::enable, 8},
    };
    unsigned total = 0;
    for (const auto& [kind, weight] : kWeights) total += weight;
    for (;;) {
      unsigned ticket = below(total);
      // Without states there is little to see.
      if (count_ < kStates) ticket = 0;
      Kind chosen{};
      for (const auto& [kind, weight] : kWeights) {
        chosen = kind;
        if (ticket < weight) break;
        ticket -= weight;
      }
      if (!is_in_scope(chosen)) continue;
      ++count_;
      return fill(chosen);
    }
  }

 private:
  [[nodiscard]] unsigned below(unsigned end) { return static_cast<unsigned>(random_() % end); }
  [[nodiscard]] bool one_in(unsigned count) { return below(count) == 0; }
  [[nodiscard]] bool is_in_scope(Operation::Kind kind) const {
    using Kind = Operation::Kind;
    if (kind == Kind::fail_start || kind == Kind::fail_stop) return scope_.start_and_stop_fail;
    if (kind == Kind::lost || kind == Kind::arrived) return scope_.cpus_come_and_go;
    return true;
  }
  [[nodiscard]] Operation fill(Operation::Kind kind) {
    using Kind = Operation::Kind;
    using hotplug::Section;
    Operation it{.kind = kind};
    it.state = count_ <= kStates ? count_ - 1 : below(kStates);
    it.cpu = one_in(40) ? scope_.cpu_count : below(scope_.cpu_count);
    it.number.value = static_cast<std::uint16_t>(below(layout_.online().value + 2U));
    // Most CPUs are wanted whole, or not at all.
    if (kind == Kind::set_target && !one_in(4))
      it.number = one_in(3) ? hotplug::StateLayout::offline() : layout_.online();
    it.direction = one_in(2) ? hotplug::Direction::startup : hotplug::Direction::teardown;
    const Section section =
        std::array{Section::prepare, Section::starting, Section::online, Section::online}[below(4)];
    // Now and then one that there is not.
    const unsigned end = std::max(1U, layout_.fixed_in(section) + (one_in(10) ? 1U : 0U));
    it.placement = one_in(section == Section::starting ? 20 : 3)
                       ? hotplug::Placement::dynamic(section)
                       : hotplug::Placement::fixed(section, static_cast<std::uint16_t>(below(end)));
    it.is_multi = one_in(2);
    it.calls = !one_in(5);
    it.has_startup = !one_in(8);
    it.has_teardown = !one_in(8);
    if (kind == Kind::add_instance || kind == Kind::remove_instance ||
        (kind == Kind::fail_callback && one_in(3)))
      it.instance = below(kInstances);
    if (kind == Kind::fail_start)
      it.error = one_in(2) ? ErrorCode::timed_out : ErrorCode::os_failure;
    if (kind == Kind::fail_stop) it.error = ErrorCode::permission_denied;
    return it;
  }

  std::mt19937_64 random_;
  HistoryScope scope_;
  hotplug::StateLayout layout_;
  unsigned count_ = 0;
};

}  // namespace trapline::contract
