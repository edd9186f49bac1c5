// CPUs going up and down: order, place, failures and undoing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "hotplug/state_machine_fixture.h"

namespace trapline::hotplug::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Two states in each section: p0 p1, s0 s1, o0 o1.
class WalkTest : public HotplugTest {
 protected:
  static constexpr std::size_t kStateCount = 6;
  static constexpr Section kSections[] = {Section::prepare, Section::starting, Section::online};

  WalkTest() {
    for (const Section section : kSections) {
      for (std::uint16_t index = 0; index < 2; ++index) {
        names_.push_back(name_of(section).substr(0, 1).data()[0] + std::to_string(index));
        probes_.push_back(std::make_unique<Probe>(log_, names_.back()));
        states_.push_back(set_up(*probes_.back(), section, index));
      }
    }
  }
  ~WalkTest() override {
    // The states are removed now.
    for (const auto& probe : probes_) probe->during = nullptr;
  }
  [[nodiscard]] Probe& probe(std::string_view name) {
    return *probes_[static_cast<std::size_t>(std::ranges::find(names_, name) - names_.begin())];
  }
  // The lines of states [begin, end), ascending for "+", descending for "-".
  [[nodiscard]] Log lines(char sign, std::size_t begin, std::size_t end) const {
    Log expected;
    for (std::size_t index = begin; index < end; ++index)
      expected.push_back(sign + names_[index] + "@1");
    if (sign == '-') std::ranges::reverse(expected);
    return expected;
  }
  [[nodiscard]] static Log joined(Log first, const Log& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
  }
  void check_up_and_down_are_whole() {
    log_.clear();
    if (state_of(kCpu1) != kLayout.online()) {
      EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
      log_.clear();
      EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
      EXPECT_EQ(take_log(), lines('+', 0, kStateCount));
    }
    EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
    EXPECT_EQ(take_log(), lines('-', 0, kStateCount));
  }

  std::vector<std::string> names_;
  std::vector<std::unique_ptr<Probe>> probes_;
  std::vector<StateHandle> states_;
};

TEST_F(WalkTest, StartupsAscendAndTeardownsDescend) {
  bring_up({kCpu0});
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
  EXPECT_EQ(take_log(), lines('+', 0, kStateCount));
  EXPECT_EQ(state_of(kCpu1), kLayout.online());
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
  EXPECT_EQ(take_log(), lines('-', 0, kStateCount));
  EXPECT_EQ(state_of(kCpu1), StateLayout::offline());
}

TEST_F(WalkTest, EachSectionRunsWhereItBelongs) {
  bring_up({kCpu0});
  for (std::size_t index = 0; index < kStateCount; ++index) {
    const Section section = kSections[index / 2];
    probes_[index]->during = [this, section](const CallbackContext& context) {
      const fake::Context& where = port_.current();
      EXPECT_EQ(hardware_.is_on(context.cpu), section != Section::prepare);
      EXPECT_EQ(context.on_cpu, section != Section::prepare);
      EXPECT_EQ(where.cpu.has_value(), section != Section::prepare);
      if (where.cpu) {
        EXPECT_EQ(*where.cpu, context.cpu);
        EXPECT_EQ(where.interrupts,
                  section == Section::starting ? Interrupts::masked : Interrupts::enabled);
      }
      EXPECT_EQ(machine_.online_cpus().cpus().contains(context.cpu), section == Section::online);
    };
  }
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
  EXPECT_EQ(log_.size(), 2 * kStateCount);
}

TEST_F(WalkTest, ACallbackThatCannotRunOnItsCpuIsToldSo) {
  bring_up({kCpu0});
  hardware_.set_allowed(kCpu1, false);
  probe("o0").during = [](const CallbackContext& context) { EXPECT_FALSE(context.on_cpu); };
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
}

TEST_F(WalkTest, TheOnlineCpusAreThoseAtRunningOrPastIt) {
  EXPECT_THAT(online(), IsEmpty());
  bring_up({kCpu0, kCpu2});
  EXPECT_THAT(online(), ElementsAre(0, 2));
  EXPECT_EQ(code_of(machine_.set_target(kCpu1, kLayout.running())), "ok");
  EXPECT_THAT(online(), ElementsAre(0, 1, 2));
  EXPECT_EQ(code_of(machine_.set_target(kCpu1, number_of(Section::prepare, 1))), "ok");
  EXPECT_THAT(online(), ElementsAre(0, 2));
}

// Every state, both directions: what may fail is undone exactly, what may not does not stop the
// walk.
class FailAtEveryStateTest : public WalkTest,
                             public ::testing::WithParamInterface<std::tuple<std::size_t, bool>> {
 protected:
  [[nodiscard]] std::size_t index() const { return std::get<0>(GetParam()); }
  [[nodiscard]] Section section() const { return kSections[index() / 2]; }
};

TEST_P(FailAtEveryStateTest, IsUndoneWithoutItsOwnCallbackOrTheWalkGoesOn) {
  bring_up({kCpu0});
  const bool upwards = std::get<1>(GetParam());
  if (!upwards) bring_up({kCpu1});
  const CpuStatus before = status(kCpu1);
  probes_[index()]->fail_once((upwards ? "+" : "-") + names_[index()] + "@1");
  const auto outcome = upwards ? machine_.cpu_up(kCpu1) : machine_.cpu_down(kCpu1);
  const bool may_fail = section() == Section::online || (section() == Section::prepare && upwards);
  const CpuStatus after = status(kCpu1);
  if (may_fail) {
    EXPECT_EQ(code_of(outcome), "wrong_state");
    EXPECT_EQ(take_log(), upwards ? joined(lines('+', 0, index() + 1), lines('-', 0, index()))
                                  : joined(lines('-', index(), kStateCount),
                                           lines('+', index() + 1, kStateCount)));
    EXPECT_EQ(after.state, before.state);
    EXPECT_EQ(after.error, Error{ErrorCode::wrong_state});
    EXPECT_EQ(after.failed_state, states_[index()].number());
    EXPECT_EQ(after.unsettled, 0U);
  } else {
    EXPECT_EQ(code_of(outcome), "ok");
    EXPECT_EQ(take_log(), lines(upwards ? '+' : '-', 0, kStateCount));
    EXPECT_EQ(after.unsettled, 1U);
  }
  EXPECT_EQ(after.target, after.state);
  EXPECT_EQ(hardware_.is_on(kCpu1), after.state > kLayout.bringup());
  check_up_and_down_are_whole();
}

INSTANTIATE_TEST_SUITE_P(States, FailAtEveryStateTest,
                         ::testing::Combine(::testing::Range<std::size_t>(0, 6),
                                            ::testing::Bool()));

TEST_F(WalkTest, AFailureWhileUndoingEndsItAndTheCpuStaysThere) {
  bring_up({kCpu0});
  probe("o1").fail_once("+o1@1");
  probe("o0").fail_once("-o0@1");
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "wrong_state");
  EXPECT_EQ(take_log(), joined(lines('+', 0, 6), {"-o0@1"}));
  const CpuStatus stuck = status(kCpu1);
  EXPECT_EQ(stuck.state, number_of(Section::online, 0));
  EXPECT_EQ(stuck.target, stuck.state);
  EXPECT_EQ(stuck.failed_state, number_of(Section::online, 1)) << "of the first error";
  EXPECT_THAT(online(), ElementsAre(0, 1));
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
  EXPECT_THAT(take_log(), ElementsAre("+o1@1"));
  EXPECT_EQ(status(kCpu1).error, std::nullopt);
}

TEST_F(WalkTest, AFailureWhileGoingBackUpEndsItAndTheCpuStaysThere) {
  bring_up({kCpu0, kCpu1});
  probe("o0").fail_once("-o0@1");
  probe("o1").fail_once("+o1@1");
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "wrong_state");
  EXPECT_THAT(take_log(), ElementsAre("-o1@1", "-o0@1", "+o1@1"));
  EXPECT_EQ(state_of(kCpu1), number_of(Section::online, 0));
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
  EXPECT_EQ(log_.front(), "-o0@1");
}

TEST_F(WalkTest, TheLastOnlineCpuCannotBeTakenDown) {
  bring_up({kCpu0, kCpu1});
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
  log_.clear();
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu0)), "last_cpu");
  EXPECT_EQ(code_of(machine_.set_target(kCpu0, number_of(Section::prepare, 0))), "last_cpu");
  EXPECT_THAT(log_, IsEmpty());
  EXPECT_EQ(code_of(machine_.set_target(kCpu0, kLayout.running())), "ok") << "still online there";
}

TEST_F(WalkTest, ACpuThatIsNotPresentCannotBeMoved) {
  hardware_.set_present(kCpu3, false);
  for (const CpuId cpu : {kCpu3, CpuId{4}, CpuId{0xffffffff}}) {
    EXPECT_EQ(code_of(machine_.cpu_up(cpu)), "cpu_not_present");
    EXPECT_EQ(code_of(machine_.cpu_down(cpu)), "cpu_not_present");
    EXPECT_EQ(code_of(machine_.cpu_arrived(cpu)), "cpu_not_present");
  }
  EXPECT_EQ(code_of(machine_.cpu_lost(CpuId{4})), "cpu_not_present");
  EXPECT_EQ(code_of(machine_.status(CpuId{4})), "cpu_not_present");
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(WalkTest, GoingWhereTheCpuIsAlreadyRunsNothing) {
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
  bring_up({kCpu0});
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu0)), "ok");
  EXPECT_EQ(code_of(machine_.cpu_arrived(kCpu0)), "ok");
  EXPECT_EQ(code_of(machine_.set_target(kCpu1, number_of(Section::prepare, 1))), "ok");
  log_.clear();
  EXPECT_EQ(code_of(machine_.set_target(kCpu1, number_of(Section::prepare, 1))), "ok");
  EXPECT_THAT(log_, IsEmpty());
}

// Rule 15, and: a partial down then up left a stale resource.
TEST_F(WalkTest, FromEveryStopPointDownAndUpEqualsFresh) {
  bring_up({kCpu0});
  for (std::uint16_t number = 0; number < kLayout.count(); ++number) {
    const StateNumber target{number};
    const auto section = kLayout.section_of(target);
    const bool can_rest = section != Section::starting && target != kLayout.bringup();
    for (const bool upwards : {true, false}) {
      ASSERT_EQ(code_of(upwards ? machine_.cpu_down(kCpu1) : machine_.cpu_up(kCpu1)), "ok");
      const StateNumber start = state_of(kCpu1);
      log_.clear();
      const auto outcome = machine_.set_target(kCpu1, target);
      const std::size_t passed = static_cast<std::size_t>(std::ranges::count_if(
          states_, [&](const StateHandle& state) { return state.number() <= target; }));
      if (!can_rest) {
        EXPECT_EQ(code_of(outcome), "bad_number") << number;
        EXPECT_THAT(log_, IsEmpty());
        EXPECT_EQ(state_of(kCpu1), start);
        continue;
      }
      EXPECT_EQ(code_of(outcome), "ok") << number;
      EXPECT_EQ(take_log(), upwards ? lines('+', 0, passed) : lines('-', passed, kStateCount));
      EXPECT_EQ(state_of(kCpu1), target);
      EXPECT_EQ(hardware_.is_on(kCpu1), target > kLayout.bringup());
      EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
      EXPECT_EQ(take_log(), lines('+', passed, kStateCount));
      EXPECT_EQ(code_of(machine_.set_target(kCpu1, target)), "ok");
      EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
      EXPECT_EQ(take_log(), lines('-', 0, kStateCount));
    }
  }
  EXPECT_EQ(code_of(machine_.set_target(kCpu1, StateNumber{kLayout.count()})), "bad_number");
  EXPECT_EQ(code_of(machine_.set_target(kCpu1, StateNumber{0xffff})), "bad_number");
}

// --- the machine fails
// ----------------------------------------------------------------------------

TEST_F(WalkTest, ACpuThatDoesNotArriveIsMarkedAndCanBeTriedAgain) {
  bring_up({kCpu0});
  for (const fake::Arrival arrival : {fake::Arrival::never, fake::Arrival::late}) {
    hardware_.fail_start(kCpu1, ErrorCode::timed_out, fake::Repeat::once, arrival);
    EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "timed_out");
    EXPECT_EQ(take_log(), joined(lines('+', 0, 2), lines('-', 0, 2)));
    EXPECT_TRUE(status(kCpu1).did_not_arrive);
    EXPECT_EQ(status(kCpu1).failed_state, kLayout.bringup());
    EXPECT_EQ(state_of(kCpu1), StateLayout::offline());
    EXPECT_THAT(online(), ElementsAre(0));
    EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
    EXPECT_EQ(take_log(), lines('+', 0, kStateCount));
    EXPECT_FALSE(status(kCpu1).did_not_arrive);
    EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
    log_.clear();
  }
  EXPECT_EQ(hardware_.power_on_count(kCpu1), 3U) << "one that arrived late was switched on again";
}

TEST_F(WalkTest, FailuresToStartLeaveNothingBehindHoweverOften) {
  bring_up({kCpu0});
  hardware_.fail_start(kCpu1, ErrorCode::os_failure, fake::Repeat::always);
  for (int attempt = 0; attempt < 3; ++attempt) {
    EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "os_failure");
    EXPECT_FALSE(status(kCpu1).did_not_arrive);
    EXPECT_EQ(take_log(), joined(lines('+', 0, 2), lines('-', 0, 2)));
  }
  hardware_.heal(kCpu1);
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
  check_up_and_down_are_whole();
}

TEST_F(WalkTest, ACpuThatRefusesToStopGoesBackUp) {
  bring_up({kCpu0, kCpu1});
  hardware_.fail_stop(kCpu1, ErrorCode::permission_denied);
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "permission_denied");
  EXPECT_EQ(take_log(), joined(lines('-', 2, kStateCount), lines('+', 2, kStateCount)));
  EXPECT_EQ(state_of(kCpu1), kLayout.online());
  EXPECT_EQ(status(kCpu1).failed_state, kLayout.bringup());
  EXPECT_THAT(online(), ElementsAre(0, 1));
  check_up_and_down_are_whole();
}

// --- CPUs that come and go by somebody else's doing
// -----------------------------------------------

TEST_F(WalkTest, ALostCpuIsTornDownOnTheCallerAndCannotRefuse) {
  bring_up({kCpu0, kCpu1});
  for (const std::size_t index : {1U, 3U, 5U}) {
    probes_[index]->during = [this](const CallbackContext& context) {
      EXPECT_TRUE(context.cpu_is_lost);
      EXPECT_FALSE(context.on_cpu);
      EXPECT_EQ(&port_.current(), &port_.thread(0));
    };
    probes_[index]->fail_once("-" + names_[index] + "@1 lost");
  }
  hardware_.lose(kCpu1);
  EXPECT_EQ(code_of(machine_.cpu_lost(kCpu1)), "ok");
  EXPECT_THAT(log_, ElementsAre("-o1@1 lost", "-o0@1 lost", "-s1@1 lost", "-s0@1 lost",
                                "-p1@1 lost", "-p0@1 lost"));
  EXPECT_EQ(state_of(kCpu1), StateLayout::offline());
  EXPECT_EQ(status(kCpu1).unsettled, 3U);
  EXPECT_THAT(online(), ElementsAre(0));
  EXPECT_FALSE(port_.serves(kCpu1));
}

TEST_F(WalkTest, EvenTheLastCpuCanBeLostAndOneThatIsNotPresentAnyMore) {
  bring_up({kCpu0});
  hardware_.lose(kCpu0);
  hardware_.set_present(kCpu0, false);
  EXPECT_EQ(code_of(machine_.cpu_lost(kCpu0)), "ok");
  EXPECT_EQ(log_.size(), kStateCount);
  EXPECT_THAT(online(), IsEmpty());
  EXPECT_EQ(code_of(machine_.cpu_lost(kCpu0)), "ok") << "it is gone already: nothing runs";
}

TEST_F(WalkTest, NewsOfALossThatIsOutdatedChangesNothing) {
  bring_up({kCpu0, kCpu1});
  EXPECT_EQ(code_of(machine_.cpu_lost(kCpu1, [] { return false; })), "ok");
  EXPECT_THAT(log_, IsEmpty());
  EXPECT_EQ(state_of(kCpu1), kLayout.online());
  hardware_.lose(kCpu1);
  EXPECT_EQ(code_of(machine_.cpu_lost(kCpu1, [] { return true; })), "ok");
  EXPECT_EQ(state_of(kCpu1), StateLayout::offline());
}

TEST_F(WalkTest, AnInjectedFailureDoesNotKeepALostCpu) {
  bring_up({kCpu0, kCpu1});
  ASSERT_EQ(code_of(machine_.fail_at(kCpu1, states_[5].number())), "ok");
  hardware_.lose(kCpu1);
  EXPECT_EQ(code_of(machine_.cpu_lost(kCpu1)), "ok");
  EXPECT_EQ(log_.size(), kStateCount);
}

TEST_F(WalkTest, ACpuThatArrivedIsNotSwitchedOnAndNotOffWhenItFails) {
  bring_up({kCpu0});
  hardware_.arrive(kCpu1);
  probe("o1").fail_once("+o1@1");
  EXPECT_EQ(code_of(machine_.cpu_arrived(kCpu1)), "wrong_state");
  EXPECT_EQ(take_log(), joined(lines('+', 0, 6), lines('-', 0, 5)));
  EXPECT_EQ(state_of(kCpu1), StateLayout::offline());
  EXPECT_TRUE(hardware_.is_on(kCpu1));
  EXPECT_FALSE(port_.serves(kCpu1));
  EXPECT_EQ(code_of(machine_.cpu_arrived(kCpu1)), "ok");
  EXPECT_EQ(hardware_.power_on_count(kCpu1), 0U);
  check_up_and_down_are_whole();
}

TEST_F(WalkTest, ACpuThatRestedAtAPrepareStateCanBeLostAndArrive) {
  bring_up({kCpu0});
  ASSERT_EQ(code_of(machine_.set_target(kCpu1, number_of(Section::prepare, 0))), "ok");
  log_.clear();
  EXPECT_EQ(code_of(machine_.cpu_lost(kCpu1)), "ok");
  EXPECT_THAT(take_log(), ElementsAre("-p0@1 lost"));
  ASSERT_EQ(code_of(machine_.set_target(kCpu1, number_of(Section::prepare, 0))), "ok");
  hardware_.arrive(kCpu1);
  log_.clear();
  EXPECT_EQ(code_of(machine_.cpu_arrived(kCpu1)), "ok");
  EXPECT_EQ(take_log(), lines('+', 1, kStateCount));
}

TEST_F(WalkTest, TimesOfTheLastTransitionAreKept) {
  bring_up({kCpu0});
  hardware_.advance(Nanoseconds{100});
  probe("o0").during = [this](const CallbackContext&) { hardware_.advance(Nanoseconds{7}); };
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok");
  EXPECT_EQ(status(kCpu1).changed_at, Nanoseconds{107});
  EXPECT_EQ(status(kCpu1).transition_duration, Nanoseconds{7});
}

}  // namespace
}  // namespace trapline::hotplug::testing
