// What the ptrace collector refuses, what it leaves behind then, and what it leaves to others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include <string>
#include <thread>
#include <vector>

#include "ports/linux/file_descriptor.h"
#include "ports/linux/launch.h"
#include "ports/linux/native_architecture.h"
#include "ports/linux/proc_fs.h"
#include "ports/linux/ptrace_collector.h"
#include "ports/linux/ptrace_test_target.h"
#include "ports/linux/self_test.h"

namespace trapline::linux_port {
namespace {

using ::testing::HasSubstr;
using Kind = TargetEvent::Kind;

alignas(16) volatile std::uint64_t watched = 0;
SharedPage* page = nullptr;

Plan watched_plan() {
  return *make_plan({.address = RemoteAddress::of_local(&watched),
                     .length = ByteCount{sizeof watched},
                     .access = Access::write},
                    native_debug_architecture());
}

TargetScope whole(ProcessId pid) {
  return {.pid = pid, .only_thread = std::nullopt, .follow_children = false};
}

int write_when_told() {
  page->tid = ::gettid();
  page->ready = 1;
  await(page->go, 1);
  watched = 1;
  return 4;
}

FileDescriptor open_breakpoint(ThreadId tid) {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_BREAKPOINT;
  attributes.bp_type = HW_BREAKPOINT_RW;  // the one kind of data that every kernel takes
  attributes.bp_addr = RemoteAddress::of_local(&watched).value() + sizeof watched;
  attributes.bp_len = HW_BREAKPOINT_LEN_8;
  attributes.exclude_kernel = 1;
  return FileDescriptor(static_cast<int>(
      ::syscall(SYS_perf_event_open, &attributes, tid.value, -1, -1, PERF_FLAG_FD_CLOEXEC)));
}

class PtraceRefusalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    page = make_shared_page();
    ASSERT_NE(page, nullptr);
  }
  void TearDown() override { ::munmap(page, sizeof(SharedPage)); }

  Failure refuse(const TargetScope& scope) {
    auto report = collector_->install(scope, watched_plan(), {});
    EXPECT_FALSE(report.has_value());
    return report ? Failure{} : report.error();
  }

  std::unique_ptr<Collector> collector_ = make_ptrace_collector();
  RecordingSink sink_;
};

TEST_F(PtraceRefusalTest, ProcessThatIsNotThere) {
  TestTarget target([] { return 0; });
  target.wait();
  EXPECT_EQ(refuse(whole(target.pid())).error.code, ErrorCode::no_such_process);
}

TEST_F(PtraceRefusalTest, ThreadThatIsNotThere) {
  TestTarget target(write_when_told);
  TestTarget gone([] { return 0; });
  gone.wait();
  const Failure failure = refuse(
      {.pid = target.pid(), .only_thread = ThreadId{gone.pid().value}, .follow_children = false});
  EXPECT_EQ(failure.error.code, ErrorCode::no_such_process);
}

TEST_F(PtraceRefusalTest, ItselfAndKernelThreadsAreNamedAsSuch) {
  Failure failure = refuse(whole(ProcessId{::getpid()}));
  EXPECT_EQ(failure.error.code, ErrorCode::permission_denied);
  EXPECT_THAT(failure.message, HasSubstr("cannot trace itself"));
  constexpr ProcessId kKthreadd{2};
  if (thread_name(kKthreadd, ThreadId{2}) != "kthreadd")
    GTEST_SKIP() << "kernel threads are not visible here (a container)";
  failure = refuse(whole(kKthreadd));
  EXPECT_EQ(failure.error.code, ErrorCode::permission_denied);
}

TEST_F(PtraceRefusalTest, TargetOfAnotherTracerSaysWhose) {
  TestTarget target(write_when_told);
  await(page->ready, 1);
  page->ready = 0;
  TestTarget debugger([&] {
    ::prctl(PR_SET_NAME, "mydebugger");
    if (::ptrace(PTRACE_SEIZE, target.pid().value, nullptr, nullptr) != 0) return 1;
    page->ready = 1;
    await(page->go, 1);
    return 0;
  });
  await(page->ready, 1);
  const Failure failure = refuse(whole(target.pid()));
  EXPECT_EQ(failure.error.code, ErrorCode::permission_denied);
  EXPECT_THAT(failure.message, HasSubstr("mydebugger"));
  EXPECT_THAT(failure.message, HasSubstr(std::to_string(debugger.pid().value)));
  page->go = 1;
  EXPECT_EQ(WEXITSTATUS(target.wait()), 4);
  EXPECT_EQ(debugger.wait(), 0);
}

TEST_F(PtraceRefusalTest, SlotsTakenInOneThreadRollBackAllOthers) {
  constexpr int kThreads = 8;
  TestTarget target([] {
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([] {
        page->tid = ::gettid();
        page->ready.fetch_add(1);
        await(page->go, 1);
        watched = 1;
      });
    }
    for (std::thread& thread : threads) thread.join();
    return 4;
  });
  await(page->ready, kThreads);
  std::vector<FileDescriptor> taken;
  for (int i = 0; i < native_debug_architecture().data_slots; ++i) {
    taken.push_back(open_breakpoint(ThreadId{page->tid}));
    ASSERT_TRUE(taken.back().is_open());
  }
  const Failure failure = refuse(whole(target.pid()));
  EXPECT_EQ(failure.error.code, ErrorCode::no_free_slot);
  EXPECT_THAT(failure.message, HasSubstr(std::to_string(page->tid)));
  EXPECT_EQ(read_status(target.pid())->tracer.value, 0);
  page->go = 1;
  const int status = target.wait();
  EXPECT_TRUE(WIFEXITED(status)) << "killed by " << WTERMSIG(status);
}

TEST_F(PtraceRefusalTest, UnrelatedChildrenAreNotWaitedFor) {
  TestTarget target(write_when_told);
  await(page->ready, 1);
  TestTarget ended([] { return 5; });
  TestTarget stopped([] {
    ::raise(SIGSTOP);
    return 6;
  });
  ::usleep(20'000);
  const auto report = collector_->install(whole(target.pid()), watched_plan(), {});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  page->go = 1;
  ASSERT_TRUE(pump_to_end(*collector_, sink_));
  EXPECT_EQ(sink_.hits.size(), 1U);
  target.reaped(0);
  int status = 0;
  EXPECT_EQ(::waitpid(stopped.pid().value, &status, WUNTRACED | WNOHANG), stopped.pid().value);
  EXPECT_TRUE(WIFSTOPPED(status));
  EXPECT_EQ(WEXITSTATUS(ended.wait()), 5);
}

TEST_F(PtraceRefusalTest, WorksWhereSigchldIsIgnoredAndLeavesItSo) {
  TestTarget target(write_when_told);
  await(page->ready, 1);
  ::signal(SIGCHLD, SIG_IGN);
  const auto report = collector_->install(whole(target.pid()), watched_plan(), {});
  ASSERT_TRUE(report.has_value());
  page->go = 1;
  ASSERT_TRUE(pump_to_end(*collector_, sink_));
  EXPECT_EQ(sink_.hits.size(), 1U);
  target.reaped(0);
  collector_->stop(sink_);
  EXPECT_EQ(::signal(SIGCHLD, SIG_DFL), SIG_IGN);
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_EQ(::sigismember(&mask, SIGCHLD), 0);
}

TEST_F(PtraceRefusalTest, LaunchedCommandIsTakenOverAtItsEntryPoint) {
  auto launched = LaunchedCommand::start({"sh", "-c", "exit 8"});
  ASSERT_TRUE(launched.has_value()) << launched.error().message;
  const ProcessId pid = launched->pid();
  const auto auxv = read_file("/proc/" + std::to_string(pid.value) + "/auxv");
  constexpr std::uint64_t kAtEntry = 9;  // AT_ENTRY
  const auto plan = make_plan({.address = RemoteAddress(*find_auxv(*auxv, kAtEntry)),
                               .length = ByteCount{1},
                               .access = Access::execute},
                              native_debug_architecture());
  const auto report = collector_->install(whole(pid), *plan, {});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  launched->hand_over();
  ASSERT_TRUE(pump_to_end(*collector_, sink_));
  EXPECT_EQ(sink_.hits.size(), 1U);
  ASSERT_NE(sink_.find(Kind::process_exited), nullptr);
  EXPECT_EQ(WEXITSTATUS(*sink_.find(Kind::process_exited)->wait_status), 8);
}

TEST_F(PtraceRefusalTest, TargetSurvivesTracerThatIsKilled) {
  TestTarget target([] {
    std::thread other(write_when_told);
    await(page->go, 1);
    watched = 2;
    other.join();
    return 4;
  });
  await(page->ready, 1);
  TestTarget tracer([&] {
    if (!collector_->install(whole(target.pid()), watched_plan(), {})) return 1;
    page->ready = 2;
    while (true) ::pause();
  });
  await(page->ready, 2);
  tracer.kill(SIGKILL);
  tracer.wait();
  // The guard needs some milliseconds; it has let go when nobody traces any thread.
  ::usleep(100'000);
  EXPECT_EQ(read_status(target.pid())->tracer.value, 0);
  page->go = 1;
  const int status = target.wait();
  EXPECT_TRUE(WIFEXITED(status)) << "killed by " << WTERMSIG(status);
}

TEST(SelfTestPtraceTest, DebugRegistersFireHereAndNoChildIsLeft) {
  const auto tested = self_test_ptrace();
  EXPECT_TRUE(tested.has_value()) << tested.error().message;
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG | __WALL), -1);
}

}  // namespace
}  // namespace trapline::linux_port
