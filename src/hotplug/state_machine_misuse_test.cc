// Locks, and what callers may not do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "hotplug/state_machine_fixture.h"

namespace trapline::hotplug::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

class MisuseTest : public HotplugTest {
 protected:
  // What each call of the machine answers.
  [[nodiscard]] std::vector<std::string> answers_of_all() {
    return {
        code_of(machine_.setup_state(other_)),
        code_of(machine_.setup_state_nocalls(other_)),
        code_of(machine_.setup_state_multi(other_)),
        code_of(machine_.remove_state(state_)),
        code_of(machine_.remove_state_nocalls(state_)),
        code_of(machine_.add_instance(state_, x_)),
        code_of(machine_.add_instance_nocalls(state_, x_)),
        code_of(machine_.remove_instance(state_, x_)),
        code_of(machine_.remove_instance_nocalls(state_, x_)),
        code_of(machine_.cpu_up(kCpu1)),
        code_of(machine_.cpu_down(kCpu1)),
        code_of(machine_.set_target(kCpu1, kLayout.running())),
        code_of(machine_.cpu_arrived(kCpu1)),
        code_of(machine_.cpu_lost(kCpu1)),
        code_of(machine_.hotplug_disable()),
        code_of(machine_.hotplug_enable()),
        code_of(machine_.status(kCpu1)),
        code_of(machine_.state_name(kLayout.online())),
        code_of(machine_.for_each_state([](StateNumber, std::string_view) {})),
        code_of(machine_.fail_at(kCpu1, state_.number())),
    };
  }
  [[nodiscard]] std::vector<std::string> answers_of_cpuslocked() {
    return {
        code_of(machine_.setup_state_cpuslocked(other_)),
        code_of(machine_.setup_state_nocalls_cpuslocked(other_)),
        code_of(machine_.setup_state_multi_cpuslocked(other_)),
        code_of(machine_.remove_state_cpuslocked(state_)),
        code_of(machine_.remove_state_nocalls_cpuslocked(state_)),
        code_of(machine_.add_instance_cpuslocked(state_, x_)),
        code_of(machine_.add_instance_nocalls_cpuslocked(state_, x_)),
        code_of(machine_.remove_instance_cpuslocked(state_, x_)),
        code_of(machine_.remove_instance_nocalls_cpuslocked(state_, x_)),
    };
  }

  Probe a_{log_, "a"};
  Probe b_{log_, "b"};
  NamedInstance x_{"x"};
  StateDefinition other_ = b_.at(Placement::dynamic(Section::online));
  StateHandle state_ = set_up(a_, Section::online, 0);
};

using MisuseDeathTest = MisuseTest;

TEST_F(MisuseTest, ACallbackCannotCallTheMachine) {
  bring_up({kCpu0});
  Probe prepare(log_, "prepare");
  std::vector<std::string> answers;
  const auto ask = [&](const CallbackContext&) {
    answers = answers_of_all();
    std::ranges::copy(answers_of_cpuslocked(), std::back_inserter(answers));
  };
  for (const Section section : {Section::prepare, Section::starting, Section::online}) {
    prepare.during = ask;
    answers.clear();
    StateHandle state = set_up(prepare, section, 1);
    EXPECT_EQ(answers.size(), 29U);
    EXPECT_THAT(answers, Each(std::string("in_callback"))) << name_of(section);
    answers.clear();
    EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
    EXPECT_THAT(answers, Each(std::string("in_callback"))) << name_of(section);
    EXPECT_EQ(answers.size(), 29U);
    prepare.during = nullptr;
    EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
  }
  EXPECT_EQ(state_of(kCpu0), kLayout.online()) << "calls are welcome again afterwards";
}

TEST_F(MisuseTest, ThePlainFormsRefuseACallerThatHoldsTheReadLock) {
  const std::shared_lock lock(machine_.online_cpus());
  EXPECT_THAT(answers_of_all(), Each(std::string("lock_held")));
}

TEST_F(MisuseTest, TheCpuslockedFormsNeedTheReadLock) {
  EXPECT_THAT(answers_of_cpuslocked(), Each(std::string("lock_not_held")));
  // Another context's does not count.
  port_.as_thread(1, [&] { machine_.online_cpus().cpus_read_lock(); });
  EXPECT_THAT(answers_of_cpuslocked(), Each(std::string("lock_not_held")));
  port_.as_thread(1, [&] { machine_.online_cpus().cpus_read_unlock(); });
}

TEST_F(MisuseTest, ReadersDoNotKeepEachOtherOut) {
  machine_.online_cpus().cpus_read_lock();
  port_.as_thread(1, [&] {
    EXPECT_FALSE(machine_.online_cpus().read_lock_held());
    const std::shared_lock lock(machine_.online_cpus());
    EXPECT_TRUE(machine_.online_cpus().read_lock_held());
  });
  EXPECT_TRUE(machine_.online_cpus().read_lock_held());
  machine_.online_cpus().cpus_read_unlock();
  EXPECT_FALSE(machine_.online_cpus().read_lock_held());
}

TEST_F(MisuseTest, TryLockFailsWhileACpuComesAndLeavesNothingHeld) {
  bring_up({kCpu0});
  bool tried = false;
  a_.during = [&](const CallbackContext&) {
    // As another thread would find it.
    ReaderSlot<fake::Word>& callers = port_.reader_slot();
    callers.in_callback = false;
    EXPECT_FALSE(machine_.online_cpus().try_lock_shared());
    EXPECT_FALSE(machine_.online_cpus().read_lock_held());
    callers.in_callback = true;
    tried = true;
  };
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
  EXPECT_TRUE(tried);
  a_.during = nullptr;
  EXPECT_TRUE(machine_.online_cpus().try_lock_shared());
  machine_.online_cpus().unlock_shared();
}

TEST_F(MisuseTest, DisablingIsCountedAndAnUnbalancedEnableReported) {
  bring_up({kCpu0});
  EXPECT_EQ(code_of(machine_.hotplug_enable()), "wrong_state");
  EXPECT_EQ(code_of(machine_.hotplug_disable()), "ok");
  EXPECT_EQ(code_of(machine_.hotplug_disable()), "ok");
  EXPECT_EQ(code_of(machine_.hotplug_enable()), "ok");
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "hotplug_disabled");
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu0)), "hotplug_disabled");
  EXPECT_EQ(code_of(machine_.set_target(kCpu0, kLayout.running())), "hotplug_disabled");
  EXPECT_EQ(code_of(machine_.hotplug_enable()), "ok");
  EXPECT_EQ(code_of(machine_.hotplug_enable()), "wrong_state");
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
}

TEST_F(MisuseTest, DisablingKeepsNoFactAway) {
  bring_up({kCpu0, kCpu1});
  EXPECT_EQ(code_of(machine_.hotplug_disable()), "ok");
  hardware_.lose(kCpu1);
  hardware_.arrive(kCpu2);
  EXPECT_EQ(code_of(machine_.cpu_lost(kCpu1)), "ok");
  EXPECT_EQ(code_of(machine_.cpu_arrived(kCpu2)), "ok");
  EXPECT_THAT(log_, ElementsAre("-a@1 lost", "+a@2"));
}

TEST_F(MisuseDeathTest, TheReadLockDoesNotNest) {
  OnlineCpus<fake::FakePort>& cpus = machine_.online_cpus();
  cpus.cpus_read_lock();
  EXPECT_DEATH(cpus.cpus_read_lock(), "taken twice by one context");
  EXPECT_DEATH(static_cast<void>(cpus.try_lock_shared()), "taken twice by one context");
  cpus.cpus_read_unlock();
}

TEST_F(MisuseDeathTest, UnlockingWhatThisContextDoesNotHoldIsABug) {
  OnlineCpus<fake::FakePort>& cpus = machine_.online_cpus();
  EXPECT_DEATH(cpus.cpus_read_unlock(), "without cpus_read_lock");
  cpus.cpus_read_lock();
  port_.as_thread(1, [&] { EXPECT_DEATH(cpus.cpus_read_unlock(), "without cpus_read_lock"); });
  cpus.cpus_read_unlock();
}

TEST_F(MisuseDeathTest, TheReadLockCannotBeTakenOrGivenBackInACallback) {
  bring_up({kCpu0});
  OnlineCpus<fake::FakePort>& cpus = machine_.online_cpus();
  const auto set_up_with = [&](Section section, std::function<void()> during) {
    Probe probe(log_, "probe");
    probe.during = [during = std::move(during)](const CallbackContext&) { during(); };
    static_cast<void>(set_up(probe, section, 1));
  };
  EXPECT_DEATH(set_up_with(Section::online, [&] { cpus.cpus_read_lock(); }),
               "in a hotplug callback");
  EXPECT_DEATH(set_up_with(Section::online, [&] { static_cast<void>(cpus.try_lock_shared()); }),
               "in a hotplug callback");
  EXPECT_DEATH(set_up_with(Section::prepare, [&] { cpus.cpus_read_unlock(); }),
               "in a hotplug callback")
      << "it would let go of the lock that the caller's setup holds";
}

}  // namespace
}  // namespace trapline::hotplug::testing
