// States with instances: adding, removing, order and undoing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hotplug/state_machine_fixture.h"

namespace trapline::hotplug::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class InstancesTest : public HotplugTest {
 protected:
  void add_all(const StateHandle& state) {
    for (NamedInstance* instance : {&x_, &y_, &z_})
      ASSERT_EQ(code_of(machine_.add_instance(state, *instance)), "ok");
    log_.clear();
  }
  void remove_all(StateHandle& state) {
    for (NamedInstance* instance : {&x_, &y_, &z_}) {
      if (!instance->is_added()) continue;
      EXPECT_EQ(code_of(machine_.remove_instance_nocalls(state, *instance)), "ok");
    }
    EXPECT_EQ(code_of(machine_.remove_state(state)), "ok");
  }

  Probe a_{log_, "a"};
  NamedInstance x_{"x"};
  NamedInstance y_{"y"};
  NamedInstance z_{"z"};
};

TEST_F(InstancesTest, AddingRunsTheStartupOnEveryCpuPastTheState) {
  bring_up({kCpu0, kCpu2});
  StateHandle state = set_up_multi(a_, Section::online, 0);
  EXPECT_EQ(code_of(machine_.add_instance(state, x_)), "ok");
  EXPECT_THAT(take_log(), ElementsAre("+a.x@0", "+a.x@2"));
  EXPECT_TRUE(x_.is_added());
  EXPECT_EQ(code_of(machine_.remove_instance(state, x_)), "ok");
  EXPECT_THAT(log_, ElementsAre("-a.x@2", "-a.x@0"));
  EXPECT_FALSE(x_.is_added());
  remove_all(state);
}

TEST_F(InstancesTest, CpusThatComeStartTheInstancesInTheOrderAddedAndStopThemInReverse) {
  bring_up({kCpu0});
  StateHandle state = set_up_multi(a_, Section::online, 0);
  add_all(state);
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
  EXPECT_THAT(take_log(), ElementsAre("+a.x@1", "+a.y@1", "+a.z@1"));
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
  EXPECT_THAT(take_log(), ElementsAre("-a.z@1", "-a.y@1", "-a.x@1"));
  remove_all(state);
}

TEST_F(InstancesTest, ARemovedInstanceIsNotCalledAgain) {
  bring_up({kCpu0});
  StateHandle state = set_up_multi(a_, Section::online, 0);
  add_all(state);
  EXPECT_EQ(code_of(machine_.remove_instance(state, y_)), "ok");
  EXPECT_THAT(take_log(), ElementsAre("-a.y@0"));
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
  EXPECT_THAT(log_, ElementsAre("+a.x@1", "+a.z@1"));
  remove_all(state);
}

TEST_F(InstancesTest, NocallsOnlyLinksAndUnlinks) {
  bring_up({kCpu0});
  StateHandle state = set_up_multi(a_, Section::online, 0);
  EXPECT_EQ(code_of(machine_.add_instance_nocalls(state, x_)), "ok");
  EXPECT_THAT(log_, IsEmpty());
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
  EXPECT_THAT(take_log(), ElementsAre("+a.x@1"));
  EXPECT_EQ(code_of(machine_.remove_instance_nocalls(state, x_)), "ok");
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
  EXPECT_THAT(log_, IsEmpty());
  remove_all(state);
}

TEST_F(InstancesTest, AFailedAddUndoesOnlyWhatItDid) {
  bring_up({kCpu0, kCpu1, kCpu2});
  StateHandle state = set_up_multi(a_, Section::online, 0);
  EXPECT_EQ(code_of(machine_.add_instance(state, x_)), "ok");
  log_.clear();
  a_.fail_once("+a.y@2");
  EXPECT_EQ(code_of(machine_.add_instance(state, y_)), "wrong_state");
  EXPECT_THAT(take_log(), ElementsAre("+a.y@0", "+a.y@1", "+a.y@2", "-a.y@1", "-a.y@0"));
  EXPECT_FALSE(y_.is_added());
  EXPECT_TRUE(x_.is_added());
  EXPECT_EQ(code_of(machine_.add_instance(state, y_)), "ok") << "it can be added later";
  remove_all(state);
}

TEST_F(InstancesTest, APrepareFailureAfterOneSuccessIsReturnedAndTheEarlierInstanceUndoneOnce) {
  StateHandle state = set_up_multi(a_, Section::prepare, 0);
  add_all(state);
  a_.fail_once("+a.y@1");
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "wrong_state");
  EXPECT_THAT(log_, ElementsAre("+a.x@1", "+a.y@1", "-a.x@1"));
  EXPECT_EQ(state_of(kCpu1), StateLayout::offline());
  remove_all(state);
}

TEST_F(InstancesTest, AFailedStartupUndoesTheInstancesBeforeItInReverse) {
  bring_up({kCpu0});
  StateHandle state = set_up_multi(a_, Section::online, 0);
  add_all(state);
  a_.fail_once("+a.z@1");
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "wrong_state");
  EXPECT_THAT(log_, ElementsAre("+a.x@1", "+a.y@1", "+a.z@1", "-a.y@1", "-a.x@1"));
  remove_all(state);
}

TEST_F(InstancesTest, AFailedTeardownStartsTheInstancesAgainThatWereStopped) {
  bring_up({kCpu0});
  StateHandle state = set_up_multi(a_, Section::online, 0);
  add_all(state);
  bring_up({kCpu1});
  a_.fail_once("-a.x@1");
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "wrong_state");
  EXPECT_THAT(log_, ElementsAre("-a.z@1", "-a.y@1", "-a.x@1", "+a.y@1", "+a.z@1"));
  EXPECT_EQ(state_of(kCpu1), kLayout.online());
  remove_all(state);
}

TEST_F(InstancesTest, AnErrorWhileInstancesAreUndoneEndsThatAndIsCounted) {
  bring_up({kCpu0});
  StateHandle state = set_up_multi(a_, Section::online, 0);
  add_all(state);
  a_.fail_once("+a.z@1");
  a_.fail_once("-a.y@1");
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "wrong_state");
  EXPECT_THAT(log_, ElementsAre("+a.x@1", "+a.y@1", "+a.z@1", "-a.y@1"));
  EXPECT_EQ(status(kCpu1).unsettled, 1U);
  remove_all(state);
}

TEST_F(InstancesTest, WithoutATeardownAFailedStartupUndoesNothing) {
  bring_up({kCpu0});
  StateDefinition definition = a_.at(Placement::fixed(Section::online, 0));
  definition.teardown = nullptr;
  auto state = machine_.setup_state_multi(definition);
  ASSERT_EQ(code_of(state), "ok");
  add_all(*state);
  a_.fail_once("+a.z@1");
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "wrong_state");
  EXPECT_THAT(log_, ElementsAre("+a.x@1", "+a.y@1", "+a.z@1"));
  remove_all(*state);
}

TEST_F(InstancesTest, ErrorsInAStartingStateDoNotKeepTheOtherInstancesFromStarting) {
  bring_up({kCpu0});
  StateHandle state = set_up_multi(a_, Section::starting, 0);
  add_all(state);
  a_.fail_always("+a.y@1");
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
  EXPECT_THAT(log_, ElementsAre("+a.x@1", "+a.y@1", "+a.z@1"));
  EXPECT_EQ(status(kCpu1).unsettled, 1U);
  remove_all(state);
}

TEST_F(InstancesTest, ATeardownThatFailsInRemovalIsReportedAndItsCpuFlagged) {
  bring_up({kCpu0, kCpu1});
  StateHandle state = set_up_multi(a_, Section::online, 0);
  add_all(state);
  a_.fail_once("-a.y@1");
  EXPECT_EQ(code_of(machine_.remove_instance(state, y_)), "teardown_failed");
  EXPECT_THAT(log_, ElementsAre("-a.y@1", "-a.y@0"));
  EXPECT_FALSE(y_.is_added()) << "it is unlinked nevertheless";
  EXPECT_EQ(status(kCpu1).unsettled, 1U);
  remove_all(state);
}

TEST_F(InstancesTest, AStateWithLiveInstancesCannotBeRemoved) {
  bring_up({kCpu0});
  StateHandle state = set_up_multi(a_, Section::online, 0);
  add_all(state);
  EXPECT_EQ(code_of(machine_.remove_state(state)), "instances_left");
  EXPECT_EQ(code_of(machine_.remove_state_nocalls(state)), "instances_left");
  EXPECT_THAT(log_, IsEmpty());
  EXPECT_TRUE(state.owns_state());
  remove_all(state);
}

TEST_F(InstancesTest, AStateThatIsNotMultiTakesNoInstances) {
  StateHandle state = set_up(a_, Section::online, 0);
  EXPECT_EQ(code_of(machine_.add_instance(state, x_)), "not_multi_instance");
  EXPECT_EQ(code_of(machine_.add_instance_nocalls(state, x_)), "not_multi_instance");
  EXPECT_EQ(code_of(machine_.remove_instance(state, x_)), "not_multi_instance");
}

TEST_F(InstancesTest, AnInstanceIsAddedOnceAndRemovedFromItsOwnState) {
  Probe b(log_, "b");
  StateHandle state = set_up_multi(a_, Section::online, 0);
  StateHandle other = set_up_multi(b, Section::online, 1);
  EXPECT_EQ(code_of(machine_.remove_instance(state, x_)), "not_reserved");
  EXPECT_EQ(code_of(machine_.add_instance(state, x_)), "ok");
  EXPECT_EQ(code_of(machine_.add_instance(state, x_)), "duplicate");
  EXPECT_EQ(code_of(machine_.add_instance(other, x_)), "duplicate");
  EXPECT_EQ(code_of(machine_.remove_instance(other, x_)), "not_reserved");
  StateHandle none;
  EXPECT_EQ(code_of(machine_.add_instance(none, y_)), "not_reserved");
  remove_all(state);
}

}  // namespace
}  // namespace trapline::hotplug::testing
