// For tests: a state machine on a fake machine with four CPUs, and states that write down their
// calls and fail when told to.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <expected>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ports/fake/fake_machine.h"
#include "ports/fake/fake_port.h"
#include "trapline/hotplug/state_machine.h"

namespace trapline::hotplug::testing {

using Machine = StateMachine<fake::FakePort>;
using Log = std::vector<std::string>;

inline constexpr CpuId kCpu0{0};
inline constexpr CpuId kCpu1{1};
inline constexpr CpuId kCpu2{2};
inline constexpr CpuId kCpu3{3};

inline constexpr StateLayout kLayout{.prepare_fixed = 3,
                                     .prepare_dynamic = 2,
                                     .starting_fixed = 3,
                                     .online_fixed = 3,
                                     .online_dynamic = 2};

struct NamedInstance : Instance {
  explicit NamedInstance(std::string its_name) : name(std::move(its_name)) {}
  std::string name;
};

// A state's callbacks. Each call is one line of the log: "+a@1" is the startup of `a` for CPU 1,
// "-a@1" the teardown, "+a.x@1" that of its instance x; " lost" follows if the CPU is.
class Probe {
 public:
  Probe(Log& log, std::string name) : log_(log), name_(std::move(name)) {}

  [[nodiscard]] StateDefinition at(Placement placement) {
    return {.name = name_,
            .placement = placement,
            .startup = method<&Probe::run>,
            .teardown = method<&Probe::run>,
            .object = this};
  }
  // The next calls, or all from now on, of this line fail with wrong_state.
  void fail_once(const std::string& line) { failures_[line] = 1; }
  void fail_always(const std::string& line) { failures_[line] = -1; }
  // Called within each callback.
  std::function<void(const CallbackContext&)> during;

 private:
  std::expected<void, Error> run(const CallbackContext& context) {
    std::string line = context.direction == Direction::startup ? "+" : "-";
    line += name_;
    if (context.instance != nullptr)
      line += "." + static_cast<NamedInstance*>(context.instance)->name;
    line += "@" + std::to_string(context.cpu.value);
    if (context.cpu_is_lost) line += " lost";
    log_.push_back(line);
    if (during) during(context);
    const auto failure = failures_.find(line);
    if (failure == failures_.end() || failure->second == 0) return {};
    if (failure->second > 0) --failure->second;
    return std::unexpected(Error{ErrorCode::wrong_state});
  }

  Log& log_;
  std::string name_;
  std::map<std::string, int> failures_;
};

template <typename T>
std::string code_of(const std::expected<T, Error>& result) {
  return result ? "ok" : std::string(name_of(result.error().code));
}

class HotplugTest : public ::testing::Test {
 protected:
  // Brings CPUs up with what states there are, and forgets their calls.
  void bring_up(std::initializer_list<CpuId> cpus) {
    for (const CpuId cpu : cpus) ASSERT_EQ(code_of(machine_.cpu_up(cpu)), "ok");
    log_.clear();
  }
  [[nodiscard]] CpuStatus status(CpuId cpu) { return machine_.status(cpu).value(); }
  [[nodiscard]] StateNumber state_of(CpuId cpu) { return status(cpu).state; }
  [[nodiscard]] std::vector<std::uint32_t> online() {
    std::vector<std::uint32_t> ids;
    const std::shared_lock lock(machine_.online_cpus());
    machine_.online_cpus().cpus().for_each([&](CpuId cpu) { ids.push_back(cpu.value); });
    return ids;
  }
  [[nodiscard]] Log take_log() { return std::exchange(log_, {}); }
  // A state of its own kind at a fixed place, that must succeed.
  [[nodiscard]] StateHandle set_up(Probe& probe, Section section, std::uint16_t index) {
    auto state = machine_.setup_state(probe.at(Placement::fixed(section, index)));
    EXPECT_EQ(code_of(state), "ok");
    return state ? std::move(*state) : StateHandle{};
  }
  [[nodiscard]] StateHandle set_up_multi(Probe& probe, Section section, std::uint16_t index) {
    auto state = machine_.setup_state_multi(probe.at(Placement::fixed(section, index)));
    EXPECT_EQ(code_of(state), "ok");
    return state ? std::move(*state) : StateHandle{};
  }
  [[nodiscard]] static StateNumber number_of(Section section, unsigned index) {
    return StateNumber{static_cast<std::uint16_t>(kLayout.first_of(section).value + index)};
  }

  Log log_;
  fake::FakeMachine hardware_{4};
  fake::FakePort port_{hardware_, 3};
  StaticStorage<4, kLayout> storage_;
  Machine machine_{port_, kLayout, storage_.cpus, storage_.states};
};

}  // namespace trapline::hotplug::testing
