// `trapline cpus`, as a user types it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "ports/linux/cpu_hotplug_test_support.h"
#include "tests/linux/child_process.h"

namespace trapline::testing {
namespace {

using linux_port::testing::SpareCpu;
using linux_port::testing::why_no_hotplug;
using ::testing::HasSubstr;

TEST(Cpus, EachPresentCpuIsALine) {
  const auto result = run({TRAPLINE_COMMAND, "cpus"});
  EXPECT_EQ(result.status, 0);
  const auto present = linux_port::CpuFiles().present();
  ASSERT_TRUE(present.has_value());
  std::istringstream lines(result.out);
  std::uint32_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto cpu = nlohmann::json::parse(line);
    EXPECT_EQ(cpu["type"], "cpu_state");
    EXPECT_EQ(cpu["online"], cpu["state"]["name"] == "online");
  }
  EXPECT_EQ(count, present->count());
}

TEST(Cpus, TextHasATable) {
  const auto result = run({TRAPLINE_COMMAND, "cpus", "-f", "text"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, HasSubstr("last transition"));
}

TEST(Cpus, ClosedPipeIsANormalEnd) {
  ChildProcess::Options options;
  options.close_stdout = true;
  EXPECT_EQ(run({TRAPLINE_COMMAND, "cpus"}, options).status, 0);
}

TEST(Cpus, FullDiskIsAnError) {
  ChildProcess::Options options;
  options.stdout_path = "/dev/full";
  const auto result = run({TRAPLINE_COMMAND, "cpus"}, options);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("standard output"));
}

TEST(Cpus, FollowTellsOfEveryChange) {
  if (const std::string reason = why_no_hotplug(); !reason.empty()) GTEST_SKIP() << reason;
  const SpareCpu cpu1;
  ChildProcess follower({TRAPLINE_COMMAND, "cpus", "--follow", "-f", "json"});
  const std::uint32_t present = linux_port::CpuFiles().present()->count();
  for (std::uint32_t i = 0; i < present; ++i) ASSERT_TRUE(follower.read_line().has_value());
  ASSERT_TRUE(SpareCpu::set_online(false));
  const auto offline = nlohmann::json::parse(follower.read_line().value_or("{}"));
  EXPECT_EQ(offline["cpu"], 1);
  EXPECT_EQ(offline["state"]["name"], "offline");
  ASSERT_TRUE(SpareCpu::set_online(true));
  const auto online = nlohmann::json::parse(follower.read_line().value_or("{}"));
  EXPECT_EQ(online["state"]["name"], "online");
  EXPECT_GT(online["transition"]["duration_ns"], 0);
  follower.signal(SIGINT);
  EXPECT_EQ(follower.wait().status, 0);
}

}  // namespace
}  // namespace trapline::testing
