#include "ports/linux/perf_process_watch.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "ports/linux/perf_test_support.h"

namespace trapline::linux_port {
namespace {

using testing::SharedPage;
using testing::TargetProcess;
using testing::wait_for;
using State = PerfProcessWatch::State;

bool becomes(const PerfProcessWatch& watch, State state) {
  for (int i = 0; i < 5000 && watch.state() != state; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return watch.state() == state;
}

TEST(PerfProcessWatch, SeesTheEndAndItsStatusWithoutReaping) {
  TargetProcess target([](SharedPage& page) {
    wait_for(page.stage, 1);
    ::_exit(5);
  });
  const auto watch = PerfProcessWatch::open(target.pid());
  ASSERT_TRUE(watch.has_value()) << watch.error().message;
  EXPECT_EQ(watch->state(), State::running);
  EXPECT_EQ(watch->wait_status(), std::nullopt);
  target.shared().stage = 1;
  ASSERT_TRUE(becomes(*watch, State::ended));
  ASSERT_TRUE(watch->wait_status().has_value());
  EXPECT_EQ(WEXITSTATUS(*watch->wait_status()), 5);
  EXPECT_EQ(WEXITSTATUS(target.join()), 5);
}

TEST(PerfProcessWatch, SeesAKillingSignal) {
  TargetProcess target([](SharedPage& page) { wait_for(page.stage, 1); });
  const auto watch = PerfProcessWatch::open(target.pid());
  ASSERT_TRUE(watch.has_value()) << watch.error().message;
  ::kill(target.pid().value, SIGKILL);
  ASSERT_TRUE(becomes(*watch, State::ended));
  ASSERT_TRUE(watch->wait_status().has_value());
  EXPECT_TRUE(WIFSIGNALED(*watch->wait_status()));
  EXPECT_EQ(WTERMSIG(*watch->wait_status()), SIGKILL);
}

TEST(PerfProcessWatch, SeesAnExec) {
  TargetProcess sleeper([](SharedPage& page) {
    if (!wait_for(page.stage, 1)) return;
    ::execl("/bin/sleep", "sleep", "20", static_cast<char*>(nullptr));
  });
  const auto watch = PerfProcessWatch::open(sleeper.pid());
  ASSERT_TRUE(watch.has_value()) << watch.error().message;
  EXPECT_TRUE(watch->sees_replacement());
  sleeper.shared().stage = 1;
  EXPECT_TRUE(becomes(*watch, State::replaced));
  EXPECT_EQ(watch->wait_status(), std::nullopt);
}

TEST(PerfProcessWatch, ALeaderThatLeavesItsThreadsBehindHasNotEnded) {
  TargetProcess target([](SharedPage& page) {
    std::thread([&page] {
      page.ready = 1;
      wait_for(page.stage, 1);
      ::_exit(0);
    }).detach();
    if (wait_for(page.ready, 1)) ::syscall(SYS_exit, 0);
  });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const auto watch = PerfProcessWatch::open(target.pid());
  ASSERT_TRUE(watch.has_value()) << watch.error().message;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(watch->state(), State::running);
  target.shared().stage = 1;
  EXPECT_TRUE(becomes(*watch, State::ended));
}

TEST(PerfProcessWatch, NobodyIsThere) {
  const auto watch = PerfProcessWatch::open(ProcessId{0x7ffffffe});
  ASSERT_FALSE(watch.has_value());
  EXPECT_EQ(watch.error().error.code, ErrorCode::no_such_process);
}

}  // namespace
}  // namespace trapline::linux_port
