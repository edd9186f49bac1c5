#include "bench/peers/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

namespace trapline::peers {
namespace {

using ::testing::HasSubstr;

class ProcessTest : public ::testing::Test {
 protected:
  ~ProcessTest() override {
    std::remove(out_.c_str());
    std::remove(errors_.c_str());
  }
  [[nodiscard]] static Deadline soon() {
    return std::chrono::steady_clock::now() + std::chrono::seconds{30};
  }
  [[nodiscard]] Process shell(const std::string& script) const {
    auto process = Process::start({"sh", "-c", script}, std::nullopt, errors_);
    if (!process) std::abort();
    return std::move(*process);
  }

  const std::string base_ = ::testing::TempDir() + "peers_process_" + std::to_string(::getpid());
  const std::string out_ = base_ + ".out";
  const std::string errors_ = base_ + ".err";
};

TEST_F(ProcessTest, LinesAreReadOneByOneAndTheRestAtOnce) {
  Process process = shell("echo one; echo two; printf three");
  EXPECT_EQ(process.read_line(soon()), "one");
  std::string rest;
  process.read_all(soon(), [&](std::string_view piece) { rest += piece; });
  EXPECT_EQ(rest, "two\nthree");
  EXPECT_EQ(process.read_line(soon()), std::nullopt);
  EXPECT_EQ(process.wait(soon()), 0);
}

TEST_F(ProcessTest, StatusIsThatOfAShell) {
  EXPECT_EQ(shell("exit 3").wait(soon()), 3);
  EXPECT_EQ(shell("kill -9 $$").wait(soon()), 128 + 9);
}

TEST_F(ProcessTest, WhatTakesTooLongIsKilled) {
  Process process = shell("trap '' TERM; while :; do sleep 0.01; done");
  const auto status = process.wait(std::chrono::steady_clock::now());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().error.code, ErrorCode::timed_out);
}

TEST_F(ProcessTest, TimeOfACommandIsItsOwn) {
  const auto time = time_of({"sleep", "0.2"}, out_, errors_, std::chrono::seconds{30});
  ASSERT_TRUE(time);
  EXPECT_GE(time->value, 200'000'000U);
}

TEST_F(ProcessTest, FailureQuotesTheLastLineOfStandardError) {
  const auto time = time_of({"sh", "-c", "echo first >&2; echo why >&2; exit 4"}, out_, errors_,
                            std::chrono::seconds{30});
  ASSERT_FALSE(time);
  EXPECT_EQ(time.error().message, "it ended with status 4: why");
}

TEST_F(ProcessTest, ProgramThatIsNotThereIsAnError) {
  EXPECT_EQ(find_program("no-such-program-here"), std::nullopt);
  const auto process = Process::start({"no-such-program-here"}, out_, errors_);
  ASSERT_FALSE(process);
  EXPECT_THAT(process.error().message, HasSubstr("no-such-program-here cannot be started"));
}

TEST_F(ProcessTest, StandardInputIsEmpty) {
  Process process = shell("cat; echo done");
  EXPECT_EQ(process.read_line(soon()), "done");
}

TEST(LastLine, BlankOnesArePassedOver) {
  EXPECT_EQ(last_line("one\ntwo\n \n\n"), "two");
  EXPECT_EQ(last_line("one"), "one");
  EXPECT_EQ(last_line("\n"), "");
}

}  // namespace
}  // namespace trapline::peers
