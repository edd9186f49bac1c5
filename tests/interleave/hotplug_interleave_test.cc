// Every schedule of the scenarios, and of the problem that Trapline began with.
#include <gtest/gtest.h>

#include <cstdio>
#include <ostream>
#include <string>
#include <vector>

#include "interleave/explorer.h"
#include "interleave/founding_race.h"
#include "interleave/scenario.h"

namespace trapline::interleave {

// The name of a test's parameter.
static void PrintTo(const Scenario& scenario, std::ostream* out) {
  *out << scenario.name;
}

namespace {

void print(const Report& report, unsigned preemptions) {
  std::printf("%llu schedules with up to %u preemptions in %.2f s\n",
              static_cast<unsigned long long>(report.schedules), preemptions, report.seconds);
}

class HotplugInterleave : public ::testing::TestWithParam<Scenario> {};

TEST_P(HotplugInterleave, NoScheduleBreaksARule) {
  const Scenario& scenario = GetParam();
  Explorer explorer;
  const auto program = make_program(scenario);
  const Report report = explorer.explore(*program, bound_of(scenario));
  print(report, bound_of(scenario));
  ASSERT_FALSE(report.violation.has_value())
      << text_of(*report.violation) << "again by: hotplug_explore --preemptions "
      << bound_of(scenario) << " " << scenario.name << " " << report.violation->choices;
  EXPECT_GT(report.schedules, 10U);
}

std::vector<Scenario> with_threads(bool are_two) {
  std::vector<Scenario> chosen;
  for (const Scenario& scenario : scenarios()) {
    if ((scenario.threads.size() == 2) == are_two) chosen.push_back(scenario);
  }
  return chosen;
}
std::string name_of_parameter(const ::testing::TestParamInfo<Scenario>& info) {
  return std::string(info.param.name);
}
INSTANTIATE_TEST_SUITE_P(TwoThreads, HotplugInterleave, ::testing::ValuesIn(with_threads(true)),
                         name_of_parameter);
INSTANTIATE_TEST_SUITE_P(MoreThreads, HotplugInterleave, ::testing::ValuesIn(with_threads(false)),
                         name_of_parameter);

TEST(FoundingRace, FoundingRaceIsImpossibleUnderTheReadLock) {
  constexpr unsigned kPreemptions = 6;
  Explorer explorer;
  const auto program = make_founding_race(Form::under_read_lock);
  const Report report = explorer.explore(*program, kPreemptions);
  print(report, kPreemptions);
  EXPECT_FALSE(report.violation.has_value()) << text_of(*report.violation);
}

TEST(FoundingRace, FoundingRaceIsFoundWithoutTheReadLock) {
  Explorer explorer;
  const auto program = make_founding_race(Form::plain);
  EXPECT_FALSE(explorer.explore(*program, 0).violation.has_value());
  const Report report = explorer.explore(*program, 1);
  ASSERT_TRUE(report.violation.has_value()) << "the explorer is blind";
  EXPECT_EQ(report.violation->message,
            "a CPU was reset between the look at debug_err_mask and the removal");
  std::printf("%s", text_of(*report.violation).c_str());
}

}  // namespace
}  // namespace trapline::interleave
