// Random histories on the fake port, compared with a reference model.
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>

#include "contract/hotplug_history.h"
#include "ports/fake/fake_machine.h"
#include "ports/fake/fake_port.h"
#include "trapline/hotplug/state_machine.h"

namespace trapline::hotplug {
namespace {

constexpr StateLayout kLayout{.prepare_fixed = 2,
                              .prepare_dynamic = 1,
                              .starting_fixed = 2,
                              .online_fixed = 2,
                              .online_dynamic = 2};
constexpr unsigned kCpuCount = 3;

// What run_history asks for.
class FakeAdapter {
 public:
  [[nodiscard]] StateMachine<fake::FakePort>& machine() { return machine_; }
  [[nodiscard]] static contract::HistoryScope scope() {
    return {.cpu_count = kCpuCount, .start_and_stop_fail = true, .cpus_come_and_go = true};
  }
  [[nodiscard]] static CpuId cpu(unsigned index) { return CpuId{index}; }
  void fail_start(CpuId cpu, ErrorCode code) { hardware_.fail_start(cpu, code); }
  void fail_stop(CpuId cpu, ErrorCode code) { hardware_.fail_stop(cpu, code); }
  void lose(CpuId cpu) { hardware_.lose(cpu); }
  void arrive(CpuId cpu) { hardware_.arrive(cpu); }

 private:
  fake::FakeMachine hardware_{kCpuCount};
  fake::FakePort port_{hardware_};
  StaticStorage<kCpuCount, kLayout> storage_;
  StateMachine<fake::FakePort> machine_{port_, kLayout, storage_.cpus, storage_.states};
};

// Many seeds from one test, so that ctest does not start a program for each.
void expect_no_difference(std::uint64_t first_seed, unsigned histories, unsigned length) {
  for (std::uint64_t seed = first_seed; seed < first_seed + histories; ++seed) {
    FakeAdapter adapter;
    const std::optional<std::string> difference = contract::run_history(adapter, seed, length);
    ASSERT_FALSE(difference.has_value()) << *difference;
  }
}

TEST(StateMachineModelTest, ManyShortHistoriesGoAsTheModelSays) {
  expect_no_difference(1, 4000, 30);
}

TEST(StateMachineModelTest, LongHistoriesGoAsTheModelSays) {
  expect_no_difference(1'000'000, 40, 3000);
}

}  // namespace
}  // namespace trapline::hotplug
