// What the command says before any watching: one line, prefixed, with the next step; and output
// that cannot be written is never taken for success.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/linux/watch_fixture.h"

namespace trapline::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// By a shell, so that descriptors can be redirected and closed.
auto run_in_shell(const std::string& arguments) {
  return run({"/bin/sh", "-c", std::string("exec ") + TRAPLINE_COMMAND + " " + arguments});
}

class UsageError : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Arguments, UsageError,
                         ::testing::Values("", "watch", "watch x -p 1 -q", "watch x -p abc",
                                           "watch x -p -1", "watch x -p 0", "watch x -p 1 -n 0",
                                           "watch x -p 1 -n -5", "watch x -p 1 --length 0",
                                           "watch x -p 1 -t q", "watch x -p 99999999999999999999",
                                           "doctor -f xml"));

TEST_P(UsageError, IsOneLineOfOursWithStatus2) {
  const auto exit = run_in_shell(GetParam());
  EXPECT_EQ(exit.status, 2);
  EXPECT_EQ(exit.out, "");
  EXPECT_THAT(exit.err, StartsWith("trapline: "));
  EXPECT_THAT(exit.err, EndsWith("--help\n"));
  EXPECT_EQ(std::ranges::count(exit.err, '\n'), 1) << exit.err;
  EXPECT_LT(exit.err.size(), 200U) << exit.err;
}

TEST(StandardOutput, DoctorAndHelpReportThatItCannotBeWritten) {
  for (const char* arguments :
       {"doctor >/dev/full", "doctor -f json >/dev/full", "--help >/dev/full", "doctor >&-"}) {
    const auto exit = run_in_shell(arguments);
    EXPECT_EQ(exit.status, 1) << arguments;
    EXPECT_THAT(exit.err, HasSubstr("trapline: standard output cannot be written")) << arguments;
  }
}

TEST(StandardOutput, ClosedOneIsNotReplacedByAFileOfOurs) {
  Puppet puppet;
  const auto exit =
      run_in_shell("watch counter --duration 0.1 -p " + std::to_string(puppet.pid()) + " >&-");
  EXPECT_EQ(exit.status, 1);
  EXPECT_THAT(exit.err, HasSubstr("cannot write to standard output"));
}

TEST(StandardError, ClosedOneDoesNotKeepHitsFromStandardOutput) {
  Puppet puppet;
  const auto exit = run_in_shell("watch counter --duration 0.1 -f json -p " +
                                 std::to_string(puppet.pid()) + " 2>&-");
  EXPECT_EQ(exit.status, 0);
  EXPECT_THAT(exit.out, HasSubstr(R"("type":"end")"));
}

}  // namespace
}  // namespace trapline::testing
