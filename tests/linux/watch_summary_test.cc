// --summary, on every collector: the kernel counts for one of them, the command for the others, and
// nobody can tell the difference.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/linux/watch_fixture.h"

namespace trapline::testing {
namespace {

class WatchSummary : public ::testing::TestWithParam<const char*> {
 protected:
  std::vector<std::string> arguments(const std::string& what, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--summary", "--collector", GetParam()});
    return watch_arguments(what, puppet_, more);
  }
  // By the function that hit.
  static std::map<std::string, std::uint64_t> counts(const Watch::Result& result) {
    std::map<std::string, std::uint64_t> counts;
    for (const auto& row : result.summary)
      counts[row.value("symbol", "?")] += row["count"].get<std::uint64_t>();
    return counts;
  }

  Puppet puppet_;
};

INSTANTIATE_TEST_SUITE_P(Collectors, WatchSummary, ::testing::Values("bpf", "perf", "ptrace"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(WatchSummary, CountsByPlaceWithTimesThreadsCpusAndTheRangeOfValues) {
  puppet_.obey("set 100");
  Watch watch(arguments("counter"));
  puppet_.obey("bump 300");
  for (const char* line : {"set -7", "set 9", "set 4"}) puppet_.obey(line);
  const auto result = watch.interrupt();
  EXPECT_TRUE(result.hits.empty());
  EXPECT_EQ(result.end["hits"], 303);
  EXPECT_EQ(result.end["lost"], 0);
  ASSERT_EQ(result.summary.size(), 2U);
  const auto& bumps = result.summary[0];
  EXPECT_EQ(bumps["symbol"], "bump");
  EXPECT_EQ(bumps["count"], 300);
  EXPECT_EQ(bumps["lowest"], 101);
  EXPECT_EQ(bumps["highest"], 400);
  const auto& sets = result.summary[1];
  EXPECT_EQ(sets["symbol"], "set_counter");
  EXPECT_EQ(sets["count"], 3);
  EXPECT_EQ(sets["lowest"], -7);
  EXPECT_EQ(sets["highest"], 9);
  for (const auto& row : result.summary) {
    EXPECT_EQ(row["threads"], 1);
    EXPECT_FALSE(row["cpus"].empty());
    EXPECT_LT(row["first_ns"], row["last_ns"]);
    EXPECT_FALSE(row["stack"].empty());
    EXPECT_FALSE(row.value("instruction", "").empty());
    // perf's are computed from the value before, and that was read beside a running program.
    if (std::string_view(GetParam()) != "perf") {
      EXPECT_FALSE(row.contains("approximate")) << row.dump();
    }
  }
  EXPECT_LT(bumps["last_ns"], sets["first_ns"]);
}

TEST_P(WatchSummary, ThreadsThatEndAreCountedAndTheirHitsKept) {
  Watch watch(arguments("counter"));
  for (int round = 0; round < 3; ++round) puppet_.obey("threads 4 25");
  const auto result = watch.interrupt();
  EXPECT_EQ(result.end["hits"].get<std::uint64_t>() + result.end["lost"].get<std::uint64_t>(),
            300U);
  ASSERT_EQ(result.summary.size(), 1U);
  EXPECT_EQ(result.summary[0]["threads"], 12);
}

TEST_P(WatchSummary, ConditionsHoldBeforeAnythingIsCounted) {
  puppet_.obey("set 0");
  Watch watch(arguments("counter", {"--when", "new > 40"}));
  puppet_.obey("bump 50");
  puppet_.obey("set 3");
  const auto result = watch.interrupt();
  EXPECT_EQ(counts(result), (std::map<std::string, std::uint64_t>{{"bump", 10}}));
  EXPECT_EQ(result.end["hits"], 10);
  EXPECT_EQ(result.end["filtered"], 41);
}

TEST_P(WatchSummary, WithoutStacksItIsByInstruction) {
  Watch watch(arguments("counter", {"--stack", "none"}));
  puppet_.obey("bump 20");
  puppet_.obey("inline");
  const auto result = watch.interrupt();
  EXPECT_EQ(result.end["hits"], 21);
  ASSERT_EQ(result.summary.size(), 2U);
  EXPECT_EQ(result.summary[0]["count"], 20);
  EXPECT_EQ(result.summary[0]["symbol"], "bump");
}

TEST_P(WatchSummary, EndsAfterExactlyAsManyHitsAsAskedFor) {
  Watch watch(arguments("counter", {"-n", "7"}));
  puppet_.obey("bump 20");
  const auto result = watch.finish();
  EXPECT_EQ(result.end["hits"], 7);
  EXPECT_EQ(counts(result), (std::map<std::string, std::uint64_t>{{"bump", 7}}));
}

}  // namespace
}  // namespace trapline::testing
