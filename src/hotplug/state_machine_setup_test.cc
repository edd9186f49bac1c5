// Setting up and removing states, and who owns them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hotplug/state_machine_fixture.h"

namespace trapline::hotplug::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using SetupTest = HotplugTest;
using SetupDeathTest = HotplugTest;

TEST_F(SetupTest, RunsTheStartupOnEveryOnlineCpuBeforeItReturns) {
  bring_up({kCpu0, kCpu2, kCpu3});
  Probe a(log_, "a");
  const StateHandle state = set_up(a, Section::online, 0);
  EXPECT_THAT(log_, ElementsAre("+a@0", "+a@2", "+a@3"));
  EXPECT_EQ(state.number(), number_of(Section::online, 0));
}

TEST_F(SetupTest, RunsOnTheCpusThatRestAtTheStateOrPastItOnly) {
  bring_up({kCpu0});
  const StateNumber number = number_of(Section::online, 1);
  ASSERT_EQ(code_of(machine_.set_target(kCpu1, StateNumber{number.value})), "ok");
  ASSERT_EQ(code_of(machine_.set_target(kCpu2,
                                        StateNumber{static_cast<std::uint16_t>(number.value - 1)})),
            "ok");
  Probe a(log_, "a");
  StateHandle state = set_up(a, Section::online, 1);
  EXPECT_THAT(take_log(), ElementsAre("+a@0", "+a@1"));
  EXPECT_EQ(code_of(machine_.remove_state(state)), "ok");
  EXPECT_THAT(log_, ElementsAre("-a@1", "-a@0"));
}

TEST_F(SetupTest, RunsPrepareCallbacksForOnlineCpusOnTheCaller) {
  bring_up({kCpu0, kCpu1});
  Probe a(log_, "a");
  a.during = [&](const CallbackContext& context) {
    EXPECT_FALSE(context.on_cpu);
    EXPECT_EQ(&port_.current(), &port_.thread(0));
  };
  const StateHandle state = set_up(a, Section::prepare, 0);
  EXPECT_THAT(log_, ElementsAre("+a@0", "+a@1"));
}

TEST_F(SetupTest, ADynamicPrepareStateReturnsItsNumberAndHasRun) {
  bring_up({kCpu0});
  Probe a(log_, "a");
  const auto state = machine_.setup_state(a.at(Placement::dynamic(Section::prepare)));
  ASSERT_EQ(code_of(state), "ok");
  EXPECT_EQ(state->number(), number_of(Section::prepare, kLayout.prepare_fixed));
  EXPECT_THAT(log_, ElementsAre("+a@0"));
}

TEST_F(SetupTest, AFailureTearsDownTheCpusBeforeItInReverseAndFreesTheState) {
  bring_up({kCpu0, kCpu1, kCpu2, kCpu3});
  Probe a(log_, "a");
  a.fail_once("+a@2");
  EXPECT_EQ(code_of(machine_.setup_state(a.at(Placement::fixed(Section::online, 0)))),
            "wrong_state");
  EXPECT_THAT(take_log(), ElementsAre("+a@0", "+a@1", "+a@2", "-a@1", "-a@0"));
  EXPECT_EQ(status(kCpu2).unsettled, 0U);
  const StateHandle again = set_up(a, Section::online, 0);
  EXPECT_THAT(log_, ElementsAre("+a@0", "+a@1", "+a@2", "+a@3"));
}

TEST_F(SetupTest, AFailedPrepareStateIsTornDownToo) {
  bring_up({kCpu0, kCpu1});
  Probe a(log_, "a");
  a.fail_once("+a@1");
  EXPECT_EQ(code_of(machine_.setup_state(a.at(Placement::dynamic(Section::prepare)))),
            "wrong_state");
  EXPECT_THAT(log_, ElementsAre("+a@0", "+a@1", "-a@0"));
}

TEST_F(SetupTest, AFailedStateIsNotCalledWhenCpusComeLater) {
  bring_up({kCpu0});
  Probe a(log_, "a");
  a.fail_once("+a@0");
  EXPECT_EQ(code_of(machine_.setup_state(a.at(Placement::dynamic(Section::online)))),
            "wrong_state");
  bring_up({kCpu1});
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(SetupTest, ATeardownThatFailsWhileSetupIsUndoneIsCountedAndDoesNotEndTheUndoing) {
  bring_up({kCpu0, kCpu1, kCpu2});
  Probe a(log_, "a");
  a.fail_once("+a@2");
  a.fail_once("-a@1");
  EXPECT_EQ(code_of(machine_.setup_state(a.at(Placement::fixed(Section::online, 0)))),
            "wrong_state");
  EXPECT_THAT(log_, ElementsAre("+a@0", "+a@1", "+a@2", "-a@1", "-a@0"));
  EXPECT_EQ(status(kCpu1).unsettled, 1U);
  EXPECT_EQ(status(kCpu0).unsettled, 0U);
}

TEST_F(SetupTest, AnErrorInAStartingStateIsCountedAndTheSetupGoesOn) {
  bring_up({kCpu0, kCpu1});
  Probe a(log_, "a");
  a.fail_once("+a@0");
  const StateHandle state = set_up(a, Section::starting, 0);
  EXPECT_THAT(log_, ElementsAre("+a@0", "+a@1"));
  EXPECT_EQ(status(kCpu0).unsettled, 1U);
}

TEST_F(SetupTest, ErrorsOfTheTableReachTheCallerAndNothingRuns) {
  bring_up({kCpu0});
  Probe a(log_, "a");
  const auto setup_at = [&](Placement placement, std::string_view name) {
    StateDefinition definition = a.at(placement);
    definition.name = name;
    return code_of(machine_.setup_state(definition));
  };
  EXPECT_EQ(setup_at(Placement::fixed(Section::online, 3), "a"), "bad_number");
  EXPECT_EQ(setup_at(Placement::dynamic(Section::starting), "a"), "bad_number");
  EXPECT_EQ(setup_at(Placement::fixed(Section::online, 0), ""), "bad_number");
  EXPECT_THAT(log_, IsEmpty());
  const StateHandle taken = set_up(a, Section::online, 0);
  log_.clear();
  EXPECT_EQ(setup_at(Placement::fixed(Section::online, 0), "a"), "number_taken");
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(SetupTest, TheSizesOfTheDynamicRangesAreTheLayouts) {
  for (const Section section : {Section::prepare, Section::online}) {
    Probe a(log_, "a");
    std::vector<StateHandle> states;
    for (unsigned count = 0; count < kLayout.dynamic_in(section); ++count) {
      auto state = machine_.setup_state(a.at(Placement::dynamic(section)));
      ASSERT_EQ(code_of(state), "ok");
      states.push_back(std::move(*state));
    }
    EXPECT_EQ(code_of(machine_.setup_state(a.at(Placement::dynamic(section)))), "range_full");
  }
}

TEST_F(SetupTest, NocallsOnlyInstallsAndRemoves) {
  bring_up({kCpu0});
  Probe a(log_, "a");
  auto state = machine_.setup_state_nocalls(a.at(Placement::fixed(Section::online, 0)));
  ASSERT_EQ(code_of(state), "ok");
  EXPECT_THAT(log_, IsEmpty());
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
  EXPECT_THAT(take_log(), ElementsAre("+a@1")) << "CPUs that come later are called";
  EXPECT_EQ(code_of(machine_.remove_state_nocalls(*state)), "ok");
  EXPECT_FALSE(state->owns_state());
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(SetupTest, AMultiInstanceStateIsSetUpAndRemovedWithoutACall) {
  bring_up({kCpu0});
  Probe a(log_, "a");
  StateHandle state = set_up_multi(a, Section::online, 0);
  bring_up({kCpu1});
  ASSERT_EQ(code_of(machine_.fail_at(kCpu0, state.number())), "ok");
  EXPECT_EQ(code_of(machine_.remove_state(state)), "ok");
  EXPECT_THAT(log_, IsEmpty());
  EXPECT_EQ(status(kCpu0).unsettled, 0U);
}

TEST_F(SetupTest, AMissingCallbackIsSkipped) {
  bring_up({kCpu0});
  Probe a(log_, "a");
  StateDefinition only_startup = a.at(Placement::fixed(Section::online, 0));
  only_startup.teardown = nullptr;
  StateDefinition only_teardown = a.at(Placement::fixed(Section::online, 1));
  only_teardown.startup = nullptr;
  {
    auto first = machine_.setup_state(only_startup);
    auto second = machine_.setup_state(only_teardown);
    EXPECT_THAT(take_log(), ElementsAre("+a@0"));
    EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
    EXPECT_THAT(take_log(), ElementsAre("+a@1"));
    EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
    EXPECT_THAT(take_log(), ElementsAre("-a@1"));
  }
  EXPECT_THAT(log_, ElementsAre("-a@0"));
}

TEST_F(SetupTest, RemovingRunsTheTeardownInReverse) {
  bring_up({kCpu0, kCpu1, kCpu2});
  Probe a(log_, "a");
  StateHandle state = set_up(a, Section::online, 0);
  log_.clear();
  EXPECT_EQ(code_of(machine_.remove_state(state)), "ok");
  EXPECT_THAT(log_, ElementsAre("-a@2", "-a@1", "-a@0"));
}

TEST_F(SetupTest, ATeardownThatFailsInRemovalIsReportedAndItsCpuFlagged) {
  bring_up({kCpu0, kCpu1, kCpu2});
  Probe a(log_, "a");
  StateHandle state = set_up(a, Section::online, 0);
  log_.clear();
  a.fail_once("-a@1");
  EXPECT_EQ(code_of(machine_.remove_state(state)), "teardown_failed");
  EXPECT_THAT(take_log(), ElementsAre("-a@2", "-a@1", "-a@0")) << "the others are torn down";
  EXPECT_EQ(status(kCpu1).unsettled, 1U);
  EXPECT_EQ(status(kCpu0).unsettled, 0U);
  EXPECT_FALSE(state.owns_state()) << "the state is gone nevertheless";
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(SetupTest, ATeardownThatCannotFailIsFlaggedButTheRemovalSucceeds) {
  bring_up({kCpu0});
  for (const Section section : {Section::prepare, Section::starting}) {
    Probe a(log_, "a");
    StateHandle state = set_up(a, section, 0);
    const std::uint32_t before = status(kCpu0).unsettled;
    a.fail_once("-a@0");
    EXPECT_EQ(code_of(machine_.remove_state(state)), "ok");
    EXPECT_EQ(status(kCpu0).unsettled, before + 1) << name_of(section);
  }
}

TEST_F(SetupTest, ARemovedFirstDynamicStateIsNeverCalledAgain) {
  bring_up({kCpu0});
  Probe kept(log_, "kept");
  std::optional<StateHandle> second;
  {
    Probe first(log_, "first");
    auto state = machine_.setup_state(first.at(Placement::dynamic(Section::online)));
    ASSERT_EQ(code_of(state), "ok");
    auto other = machine_.setup_state(kept.at(Placement::dynamic(Section::online)));
    ASSERT_EQ(code_of(other), "ok");
    second = std::move(*other);
  }
  log_.clear();
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
  EXPECT_THAT(log_, ElementsAre("+kept@1", "-kept@1"));
}

TEST_F(SetupTest, AHandleThatDiesRemovesItsState) {
  bring_up({kCpu0});
  Probe a(log_, "a");
  {
    StateHandle outer;
    {
      StateHandle inner = set_up(a, Section::online, 0);
      outer = std::move(inner);
      EXPECT_FALSE(inner.owns_state());  // NOLINT(bugprone-use-after-move): what is tested
    }
    EXPECT_THAT(take_log(), ElementsAre("+a@0")) << "the one moved from owns nothing";
  }
  EXPECT_THAT(log_, ElementsAre("-a@0"));
}

TEST_F(SetupTest, AssigningToAHandleRemovesTheStateItHad) {
  bring_up({kCpu0});
  Probe a(log_, "a");
  Probe b(log_, "b");
  StateHandle state = set_up(a, Section::online, 0);
  state = set_up(b, Section::online, 1);
  EXPECT_THAT(take_log(), ElementsAre("+a@0", "+b@0", "-a@0"));
  EXPECT_EQ(state.number(), number_of(Section::online, 1));
}

TEST_F(SetupTest, RemovingTwiceIsRefused) {
  Probe a(log_, "a");
  StateHandle state = set_up(a, Section::online, 0);
  EXPECT_EQ(code_of(machine_.remove_state(state)), "ok");
  EXPECT_EQ(code_of(machine_.remove_state(state)), "not_reserved");
  EXPECT_EQ(code_of(machine_.remove_state_nocalls(state)), "not_reserved");
}

TEST_F(SetupTest, AStateOfAnotherMachineIsRefusedAndStays) {
  bring_up({kCpu0});
  StaticStorage<4, kLayout> storage;
  Machine other(port_, kLayout, storage.cpus, storage.states);
  Probe a(log_, "a");
  StateHandle state = set_up(a, Section::online, 0);
  log_.clear();
  EXPECT_EQ(code_of(other.remove_state(state)), "foreign_state");
  NamedInstance x("x");
  EXPECT_EQ(code_of(other.add_instance(state, x)), "foreign_state");
  EXPECT_TRUE(state.owns_state());
  EXPECT_EQ(code_of(machine_.remove_state(state)), "ok");
  EXPECT_THAT(log_, ElementsAre("-a@0"));
}

TEST_F(SetupTest, TheCpuslockedFormsAreOneStepUnderTheCallersReadLock) {
  bring_up({kCpu0, kCpu1});
  Probe reset(log_, "reset");
  CpuSet debug_err_mask;
  reset.during = [&](const CallbackContext& context) {
    if (context.cpu == kCpu1) debug_err_mask.insert(context.cpu);
  };
  {
    const std::shared_lock lock(machine_.online_cpus());
    auto state = machine_.setup_state_cpuslocked(reset.at(Placement::dynamic(Section::online)));
    ASSERT_EQ(code_of(state), "ok");
    ASSERT_FALSE(debug_err_mask.empty());
    EXPECT_EQ(code_of(machine_.remove_state_nocalls_cpuslocked(*state)), "ok");
  }
  EXPECT_THAT(take_log(), ElementsAre("+reset@0", "+reset@1"));
  bring_up({kCpu2});
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(SetupTest, StatesAreListedInAscendingOrderWithTheBuiltInSteps) {
  Probe a(log_, "a");
  Probe b(log_, "b");
  const StateHandle first = set_up(a, Section::online, 1);
  const StateHandle second = set_up(b, Section::prepare, 0);
  Log names;
  EXPECT_EQ(code_of(machine_.for_each_state([&](StateNumber number, std::string_view name) {
              names.push_back(std::to_string(number.value) + " " + std::string(name));
            })),
            "ok");
  EXPECT_THAT(names, ElementsAre("0 offline", "1 b", "6 cpu:bringup", "10 cpu:running", "12 a",
                                 "16 online"));
  EXPECT_EQ(machine_.state_name(StateNumber{12}).value(), "a");
  EXPECT_EQ(code_of(machine_.state_name(StateNumber{17})), "bad_number");
}

TEST_F(SetupDeathTest, AHandleThatCannotRemoveItsStateIsABug) {
  const auto die_with_instances = [&] {
    Probe a(log_, "a");
    NamedInstance x("x");
    const StateHandle state = set_up_multi(a, Section::online, 0);
    static_cast<void>(machine_.add_instance(state, x));
  };
  EXPECT_DEATH(die_with_instances(), "handle died while the state could not be removed");
  const auto die_under_the_read_lock = [&] {
    Probe a(log_, "a");
    StateHandle state = set_up(a, Section::online, 0);
    const std::shared_lock lock(machine_.online_cpus());
    const StateHandle dying(std::move(state));
  };
  EXPECT_DEATH(die_under_the_read_lock(), "handle died while the state could not be removed");
}

}  // namespace
}  // namespace trapline::hotplug::testing
