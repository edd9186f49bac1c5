// The founding problem on four CPUs: what each part of its solution is for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <vector>

#include "isa/armv7/debug_access.h"
#include "ports/armv7_virt/faults.h"
#include "ports/armv7_virt/print.h"
#include "ports/armv7_virt/undef_hook.h"
#include "support.h"

namespace trapline::firmware::testing {
namespace {

using hotplug::CallbackContext;
using hotplug::Placement;
using hotplug::Section;
using isa::armv7::DebugRegister;
using ::testing::ElementsAre;

// A driver's reset state of its own, which notes the CPUs it ran on.
class ResetState {
 public:
  [[nodiscard]] hotplug::StateDefinition definition() {
    return {.name = "driver:reset",
            .placement = Placement::dynamic(Section::online),
            .startup = hotplug::method<&ResetState::startup>,
            .teardown = hotplug::method<&ResetState::teardown>,
            .object = this};
  }
  [[nodiscard]] std::vector<unsigned> resets() const {
    return {resets_.begin(), resets_.begin() + count_};
  }
  [[nodiscard]] unsigned count() const { return count_; }
  [[nodiscard]] unsigned teardowns() const { return teardowns_; }

 private:
  std::expected<void, Error> startup(const CallbackContext& context) {
    EXPECT_TRUE(context.on_cpu);
    EXPECT_EQ(armv7_virt::this_cpu().id, context.cpu);
    EXPECT_TRUE(armv7_virt::debug_unit().reset_ctrl_regs().has_value());
    resets_[count_] = context.cpu.value;
    ++count_;
    return {};
  }
  std::expected<void, Error> teardown(const CallbackContext& /*context*/) {
    ++teardowns_;
    return {};
  }
  std::array<unsigned, 16> resets_{};
  std::atomic<unsigned> count_{0};
  std::atomic<unsigned> teardowns_{0};
};

class FoundingProblem : public BoardTest {};

TEST_F(FoundingProblem, SetupStateRunsResetCtrlRegsOnEveryOnlineCpuBeforeItReturns) {
  down(kCpu3);
  ResetState reset;
  auto state = machine().setup_state(reset.definition());
  ASSERT_TRUE(state.has_value());
  EXPECT_THAT(reset.resets(), ElementsAre(0U, 1U, 2U));
  up(kCpu3);
  EXPECT_THAT(reset.resets(), ElementsAre(0U, 1U, 2U, 3U)) << "one that comes later runs it too";
  EXPECT_TRUE(machine().remove_state(*state).has_value());
}

TEST_F(FoundingProblem, CpusReadLockOverSetupCheckAndRemoveStateNocalls) {
  down(kCpu3);
  ResetState reset;
  std::atomic<bool> is_up{false};
  hotplug::StateHandle state;
  {
    std::shared_lock lock(machine().online_cpus());
    state = machine().setup_state_cpuslocked(reset.definition()).value();
    const unsigned resets_at_look = reset.count();
    // CPU_ON is asked for in the window.
    CpuThread other(kCpu1, [&] {
      EXPECT_TRUE(machine().cpu_up(kCpu3).has_value());
      is_up = true;
    });
    spin_for(Nanoseconds{50'000'000});
    EXPECT_FALSE(is_up) << "it waits";
    EXPECT_EQ(armv7_virt::psci::affinity_info(armv7_virt::cpu_at(kCpu3).mpidr),
              armv7_virt::psci::Power::off);
    ASSERT_TRUE(machine().remove_state_nocalls_cpuslocked(state).has_value());
    EXPECT_EQ(reset.count(), resets_at_look);
    lock.unlock();
    other.join();
  }
  EXPECT_TRUE(is_up);
  EXPECT_EQ(reset.count(), 3U) << "CPU 3 came after the removal";
  EXPECT_EQ(reset.teardowns(), 0U);
}

TEST_F(FoundingProblem, WithoutTheLockTheRaceShows) {
  down(kCpu3);
  ResetState reset;
  auto state = machine().setup_state(reset.definition());
  ASSERT_TRUE(state.has_value());
  const unsigned resets_at_look = reset.count();
  CpuThread(kCpu1, [&] { EXPECT_TRUE(machine().cpu_up(kCpu3).has_value()); }).join();
  ASSERT_TRUE(machine().remove_state_nocalls(*state).has_value());
  EXPECT_EQ(reset.count(), resets_at_look + 1)
      << "CPU 3 was reset after the look at the mask, by a state that is gone now";
}

TEST_F(FoundingProblem, DebugErrMask) {
  armv7_virt::debug_unit().break_reset_on(kCpu2, true);
  const auto enabled = watches().enable();
  armv7_virt::debug_unit().break_reset_on(kCpu2, false);
  ASSERT_FALSE(enabled.has_value()) << "the facility is withdrawn";
  EXPECT_EQ(enabled.error().code, ErrorCode::not_supported);
  CpuSet expected;
  expected.insert(kCpu2);
  EXPECT_EQ(watches().debug_err_mask(), expected);
  EXPECT_FALSE(watches().is_enabled());
  // Its states are gone, and nothing was called back: a CPU that comes now resets nothing.
  down(kCpu2);
  up(kCpu2);
  EXPECT_EQ(watches().debug_err_mask(), expected);
  EXPECT_TRUE(watches().enable().has_value());
  EXPECT_TRUE(watches().debug_err_mask().empty());
}

TEST_F(FoundingProblem, DbgReadAndDbgWriteAndTheirSafeForms) {
  std::uint32_t value = 0xdead;
  // This CPU has six breakpoints and four watchpoints.
  EXPECT_TRUE(isa::armv7::dbg_read_safe(DebugRegister::breakpoint_control(5), value));
  EXPECT_EQ(value, isa::armv7::dbg_read(DebugRegister::breakpoint_control(5)));
  EXPECT_TRUE(isa::armv7::dbg_write_safe(DebugRegister::watchpoint_value(3), 0x4000));
  EXPECT_EQ(isa::armv7::dbg_read(DebugRegister::watchpoint_value(3)), 0x4000U);
  isa::armv7::dbg_write(DebugRegister::watchpoint_value(3), 0);
  EXPECT_EQ(isa::armv7::dbg_read(DebugRegister::watchpoint_value(3)), 0U);
  value = 0xdead;
  for (const auto missing :
       {DebugRegister::breakpoint_control(6), DebugRegister::breakpoint_value(15),
        DebugRegister::watchpoint_control(4), DebugRegister::watchpoint_value(15)}) {
    EXPECT_FALSE(isa::armv7::dbg_read_safe(missing, value));
    EXPECT_EQ(value, 0xdeadU) << "not touched";
    EXPECT_FALSE(isa::armv7::dbg_write_safe(missing, 0));
  }
  // The plain forms of the same: a fault that is reported.
  const FaultsGoOn go_on;
  const PrintedText printed;
  static_cast<void>(isa::armv7::dbg_read(DebugRegister::breakpoint_control(9)));
  EXPECT_EQ(FaultsGoOn::count(), 1U);
  isa::armv7::dbg_write(DebugRegister::watchpoint_control(15), 0);
  EXPECT_EQ(FaultsGoOn::count(), 2U);
  EXPECT_THAT(printed.text(), ::testing::HasSubstr("unhandled fault on CPU 0"));
  EXPECT_THAT(printed.text(), ::testing::HasSubstr("undefined instruction"));
}

// mrc p14, 0, rX, c0, c9, 5: DBGBCR9, which this CPU does not have. As a driver's reset would do
// it.
constexpr std::uint32_t kReadOfMissingRegister = 0xee100eb9;
std::atomic<unsigned> hook_calls{0};

bool skip(armv7_virt::ExceptionFrame& frame, std::uint32_t /*instruction*/) {
  ++hook_calls;
  frame.continue_at(frame.pc + 4);
  return true;
}

// Somebody's bug, on whichever CPU it happens.
void read_missing_register() {
  std::uint32_t value = 0;
  asm volatile("mrc p14, 0, %0, c0, c9, 5" : "=r"(value));
}

TEST_F(FoundingProblem, ExceptionTableAgainstUndefHook) {
  const FaultsGoOn go_on;
  const PrintedText printed;
  // CPU 1 resets its registers with a hook installed; CPU 2 executes the same instruction by
  // mistake meanwhile.
  armv7_virt::UndefHook hook(0xffff0fff, kReadOfMissingRegister, 0, 0, &skip);
  hook_calls = 0;
  armv7_virt::register_undef_hook(hook);
  CpuThread(kCpu1, [] { read_missing_register(); }).join();
  EXPECT_EQ(hook_calls, 1U);
  CpuThread(kCpu2, [] { read_missing_register(); }).join();
  EXPECT_EQ(hook_calls, 2U) << "the hook swallows the other CPU's genuine fault";
  EXPECT_EQ(FaultsGoOn::count(), 0U);
  EXPECT_EQ(printed.text(), "");
  armv7_virt::unregister_undef_hook(hook);
  // The same with the exception table.
  CpuThread(kCpu1, [] {
    std::uint32_t value = 0;
    EXPECT_FALSE(isa::armv7::dbg_read_safe(DebugRegister::breakpoint_control(9), value));
  }).join();
  EXPECT_EQ(FaultsGoOn::count(), 0U);
  CpuThread(kCpu2, [] { read_missing_register(); }).join();
  EXPECT_EQ(FaultsGoOn::count(), 1U) << "the table swallows nothing";
  EXPECT_THAT(printed.text(), ::testing::HasSubstr("unhandled fault on CPU 2"));
  EXPECT_EQ(hook_calls, 2U);
}

TEST_F(FoundingProblem, WatchpointsOnAllCpusThroughCpuOffAndOn) {
  constexpr unsigned kCycles = TRAPLINE_FIRMWARE_CYCLES;
  static volatile std::uint32_t watched_word = 0;
  const Watched watched(*this, &watched_word, 4);
  const std::size_t free_before = watches().free_slots(false);
  const std::uint64_t begin = armv7_virt::timer::now().value;
  unsigned missed = 0;
  std::uint64_t longest = 0;
  for (unsigned cycle = 0; cycle < kCycles; ++cycle) {
    const CpuId cpu = kOtherCpus[cycle % kOtherCpus.size()];
    const std::uint64_t cycle_begin = armv7_virt::timer::now().value;
    ASSERT_TRUE(machine().cpu_down(cpu).has_value()) << "cycle " << cycle;
    ASSERT_TRUE(machine().cpu_up(cpu).has_value()) << "cycle " << cycle;
    longest = std::max(longest, armv7_virt::timer::now().value - cycle_begin);
    // Re-installed: the CPU itself finds it in its registers, and its store is caught.
    CpuThread(cpu, [&] { watched_word = cycle; }).join();
    const auto hit = armv7_virt::debug_events::take();
    const bool is_caught = hit && hit->cpu == cpu && hit->new_value == cycle &&
                           hit->slot == watched.get().registers()[0];
    if (!is_caught) ++missed;
  }
  const std::uint64_t spent = armv7_virt::timer::now().value - begin;
  EXPECT_EQ(missed, 0U);
  EXPECT_TRUE(take_hits().empty()) << "once each";
  EXPECT_EQ(watches().free_slots(false), free_before) << "nothing leaked";
  for (const CpuId cpu : kCpus) EXPECT_EQ(machine().status(cpu)->unsettled, 0U);
  armv7_virt::print_line("firmware: ", kCycles, " CPU off/on cycles over three CPUs, ", missed,
                         " not re-installed, ", spent / 1000 / kCycles, " us each, ",
                         longest / 1000, " the longest");
}

}  // namespace
}  // namespace trapline::firmware::testing
