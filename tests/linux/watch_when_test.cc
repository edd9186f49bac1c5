// --when, on every collector: the kernel judges for one of them, the command for the others, and
// nobody can tell the difference.

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/linux/watch_fixture.h"

namespace trapline::testing {
namespace {

class WatchWhen : public ::testing::TestWithParam<const char*> {
 protected:
  std::vector<std::string> arguments(const std::string& what, std::vector<std::string> more) {
    more.insert(more.end(), {"--collector", GetParam()});
    return watch_arguments(what, puppet_, more);
  }

  Puppet puppet_;
};

INSTANTIATE_TEST_SUITE_P(Collectors, WatchWhen, ::testing::Values("bpf", "perf", "ptrace"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(WatchWhen, MaskTellsBitsApart) {
  Watch watch(arguments("counter", {"--when", "new & 0x180", "--when", "new & 0xf == 1"}));
  for (const char* line : {"set 127", "set 128", "set 129", "set 1", "set 257"}) puppet_.obey(line);
  const auto result = watch.interrupt();
  ASSERT_EQ(result.hits.size(), 2U);
  EXPECT_EQ(result.hits[0]["new"], 129);
  EXPECT_EQ(result.hits[1]["new"], 257);
  EXPECT_EQ(result.end["filtered"], 3);
}

TEST_P(WatchWhen, OldValueIsWhatARejectedHitLeft) {
  puppet_.obey("set -1");
  Watch watch(arguments("counter", {"--when", "old < 0", "--when", "new > old"}));
  for (const char* line : {"set 5", "set 6", "set -7", "set 8", "set -9", "set -10"})
    puppet_.obey(line);
  const auto result = watch.interrupt();
  ASSERT_EQ(result.hits.size(), 2U);
  EXPECT_EQ(result.hits[0]["old"], -1);
  EXPECT_EQ(result.hits[0]["new"], 5);
  EXPECT_EQ(result.hits[1]["old"], -7);
  EXPECT_EQ(result.hits[1]["new"], 8);
  EXPECT_EQ(result.end["filtered"], 4);
  EXPECT_EQ(result.end["undecided"], 0);
}

TEST_P(WatchWhen, FloatingPointValuesAreComparedAsSuch) {
  Watch watch(arguments("real", {"--when", "new < -0.25", "--when", "new != old"}));
  for (const char* line : {"fields 5", "fields -1", "fields -1", "fields 0", "fields -3"})
    puppet_.obey(line);
  const auto result = watch.interrupt();
  EXPECT_EQ(result.hits.size() + result.end["filtered"].get<std::size_t>(), 5U);
  for (const auto& hit : result.hits) EXPECT_LT(hit.value("new", -1.0), -0.25) << hit.dump();
  // What a vector store wrote is read later there, and known of the newest hit only.
  if (std::string_view(GetParam()) == "perf") return;
  ASSERT_EQ(result.hits.size(), 2U);
  EXPECT_EQ(result.hits[0]["new"], -0.5);
  EXPECT_EQ(result.hits[1]["new"], -1.5);
  EXPECT_EQ(result.end["filtered"], 3);
}

TEST_P(WatchWhen, ThreadsAreToldApartByNameAndNumber) {
  const std::string me = std::to_string(puppet_.pid());
  Watch watch(arguments("counter", {"--when", "comm == 'a-worker'", "--when", "tid == " + me,
                                    "--when", "pid == " + me}));
  // Threads get the name of the one that starts them.
  for (const char* line :
       {"set 1", "name a-worker", "set 2", "threads 2 3", "name a-worker2", "set 3"})
    puppet_.obey(line);
  const auto result = watch.interrupt();
  ASSERT_EQ(result.hits.size(), 1U);
  EXPECT_EQ(result.hits[0]["comm"], "a-worker");
  EXPECT_EQ(result.hits[0]["tid"], puppet_.pid());
  EXPECT_EQ(result.hits[0]["new"], 2);
  EXPECT_EQ(result.end["filtered"], 8);
}

TEST_P(WatchWhen, CpuOfAHitIsAConditionToo) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "there is one CPU only";
  Watch watch(arguments("counter", {"--when", "cpu & 1"}));
  for (const char* line : {"pin 0", "bump 2", "pin 1", "bump 3"}) puppet_.obey(line);
  const auto result = watch.interrupt();
  ASSERT_EQ(result.hits.size(), 3U);
  EXPECT_EQ(result.hits[0]["cpu"], 1);
  EXPECT_EQ(result.end["filtered"], 2);
}

TEST_P(WatchWhen, EveryHitIsShownOrRejectedWhereThreadsRace) {
  Watch watch(arguments("counter", {"--when", "new & 1", "--when", "changed"}));
  puppet_.obey("threads 8 50");
  const auto result = watch.interrupt();
  EXPECT_EQ(result.end["lost"], 0);
  EXPECT_EQ(result.end["hits"], result.hits.size());
  EXPECT_EQ(result.hits.size() + result.end["filtered"].get<std::size_t>(), 400U);
  for (const auto& hit : result.hits) EXPECT_EQ(hit.value("new", 1) % 2, 1) << hit.dump();
}

TEST_P(WatchWhen, MoreConditionsThanTheKernelTakesHoldAllTheSame) {
  std::vector<std::string> conditions;
  for (int i = 0; i < 9; ++i) conditions.insert(conditions.end(), {"--when", "new > 0"});
  conditions.insert(conditions.end(), {"--when", "new == 3"});
  Watch watch(arguments("counter", conditions));
  for (const char* line : {"set 0", "set 2", "set 3"}) puppet_.obey(line);
  const auto result = watch.interrupt();
  ASSERT_EQ(result.hits.size(), 1U);
  EXPECT_EQ(result.hits[0]["old"], 2);
  EXPECT_EQ(result.end["filtered"], 2);
}

TEST_P(WatchWhen, RejectedHitsBeforeTheLastOneAreCounted) {
  Watch watch(arguments("counter", {"--when", "new == 20", "-n", "1"}));
  puppet_.obey("bump 20");
  const auto result = watch.finish();
  EXPECT_EQ(result.hits.size(), 1U);
  EXPECT_EQ(result.end["filtered"], 19);
}

}  // namespace
}  // namespace trapline::testing
