#include "ports/linux/ptrace_collector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "native_machine.h"
#include "ports/linux/native_architecture.h"
#include "ports/linux/proc_fs.h"
#include "ports/linux/ptrace_arch.h"
#include "ports/linux/ptrace_test_target.h"

namespace trapline::linux_port {
namespace {

using Kind = TargetEvent::Kind;

alignas(16) volatile std::uint64_t watched = 0;
alignas(16) volatile std::uint8_t watched_bytes[16] = {};
std::atomic<std::uint32_t> watched_counter = 0;
SharedPage* page = nullptr;

void write_watched(std::uint64_t count) {
  for (std::uint64_t i = 1; i <= count; ++i) watched = i;
}

// A function of its own, for Access::execute.
[[gnu::noinline]] void called_function() {
  page->writes.fetch_add(1);
}

Plan plan_for(const volatile void* object, std::uint64_t length, Access access = Access::write) {
  const auto plan = make_plan(
      {.address = RemoteAddress::of_local(object), .length = ByteCount{length}, .access = access},
      native_debug_architecture());
  EXPECT_TRUE(plan.has_value());
  return *plan;
}

Plan watched_plan() {
  return plan_for(&watched, sizeof watched);
}

TargetScope whole(ProcessId pid, bool follow = false) {
  return {.pid = pid, .only_thread = std::nullopt, .follow_children = follow};
}

char state_of(ProcessId pid) {
  const auto status = read_status(pid);
  return status ? status->state : '?';
}

class PtraceCollectorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    page = make_shared_page();
    ASSERT_NE(page, nullptr);
    watched = 0;
  }
  void TearDown() override { ::munmap(page, sizeof(SharedPage)); }

  InstallReport install(const TargetScope& scope, const Plan& plan,
                        const CollectorOptions& options = {}) {
    auto report = collector_->install(scope, plan, options);
    EXPECT_TRUE(report.has_value()) << report.error().message;
    return report.value_or(InstallReport{});
  }

  // Whether there soon is a while without any, however slow the machine.
  bool hits_cease() {
    std::size_t hits = 0;
    for (int tries = 0; tries < 100; ++tries) {
      hits = sink_.hits.size();
      pump(*collector_, sink_, [] { return false; }, std::chrono::milliseconds(200));
      if (sink_.hits.size() == hits) return true;
    }
    return false;
  }

  std::unique_ptr<Collector> collector_ = make_ptrace_collector();
  RecordingSink sink_;
};

TEST_F(PtraceCollectorTest, WriteIsReportedWithWhoAndValue) {
  TestTarget target([] {
    ::prctl(PR_SET_NAME, "wri)ter x");
    page->tid = ::gettid();
    page->ready = 1;
    await(page->go, 1);
    watched = 42;
    return 3;
  });
  await(page->ready, 1);
  const InstallReport report = install(whole(target.pid()), watched_plan());
  EXPECT_EQ(report.threads, 1U);
  EXPECT_EQ(report.slots, 1U);
  EXPECT_FALSE(report.sees_kernel_accesses);
  EXPECT_EQ(report.cpus, possible_cpus().value());
  page->go = 1;
  ASSERT_TRUE(pump_to_end(*collector_, sink_));
  ASSERT_EQ(sink_.hits.size(), 1U);
  const Hit& hit = sink_.hits[0].hit;
  EXPECT_EQ(hit.pid, target.pid());
  EXPECT_EQ(hit.tid.value, page->tid);
  EXPECT_STREQ(hit.comm.data(), "wri)ter x");
  EXPECT_TRUE(report.cpus.contains(hit.cpu));
  EXPECT_EQ(hit.address, RemoteAddress::of_local(&watched));
  EXPECT_EQ(hit.length, ByteCount{8});
  EXPECT_EQ(hit.new_value, (MemoryValue{42, Certainty::exact}));
  const MemoryValue seen_before =
      native::kTrapsBeforeAccess ? MemoryValue{0, Certainty::exact} : MemoryValue{};
  EXPECT_EQ(hit.old_value, seen_before);
  EXPECT_EQ(sink_.hits[0].registers.get(native::kInstructionPointer), hit.trap_ip.value());
  EXPECT_EQ(sink_.lost, 0U);
  const TargetEvent* exit = sink_.find(Kind::process_exited);
  ASSERT_NE(exit, nullptr);
  ASSERT_TRUE(exit->wait_status.has_value());
  EXPECT_EQ(WEXITSTATUS(*exit->wait_status), 3);
  target.reaped(*exit->wait_status);
}

// On Armv7 they are loops that every trap makes go round once more.
TEST_F(PtraceCollectorTest, AtomicOperationsComeToAnEndAndAreOneHitEach) {
  constexpr std::uint32_t kThreads = 2;
  constexpr std::uint32_t kEach = 50;
  for (const Access access : {Access::write, Access::read_write}) {
    SCOPED_TRACE(name_of(access));
    new (page) SharedPage;
    RecordingSink sink;
    collector_ = make_ptrace_collector();
    TestTarget target([] {
      std::vector<std::thread> threads;
      for (std::uint32_t i = 0; i < kThreads; ++i) {
        threads.emplace_back([] {
          page->ready.fetch_add(1);
          await(page->go, 1);
          for (std::uint32_t round = 0; round < kEach; ++round) watched_counter.fetch_add(1);
        });
      }
      for (std::thread& thread : threads) thread.join();
      return 0;
    });
    await(page->ready, kThreads);
    install(whole(target.pid()), plan_for(&watched_counter, sizeof watched_counter, access));
    page->go = 1;
    ASSERT_TRUE(pump_to_end(*collector_, sink));
    EXPECT_EQ(sink.hits.size(), kThreads * kEach);
    EXPECT_EQ(sink.lost, 0U);
  }
}

TEST_F(PtraceCollectorTest, EveryWriteOfEveryThreadIsReported) {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kWrites = 500;
  TestTarget target([] {
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (std::size_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([] {
        page->ready.fetch_add(1);
        await(page->go, 1);
        write_watched(kWrites);
      });
    }
    for (std::thread& thread : threads) thread.join();
    return 0;
  });
  await(page->ready, kThreads);
  EXPECT_EQ(install(whole(target.pid()), watched_plan()).threads, kThreads + 1);
  page->go = 1;
  ASSERT_TRUE(pump_to_end(*collector_, sink_));
  EXPECT_EQ(sink_.hits.size(), kThreads * kWrites);
  EXPECT_EQ(sink_.by_thread.size(), kThreads);
  for (const auto& [tid, count] : sink_.by_thread) EXPECT_EQ(count, kWrites) << tid;
  EXPECT_EQ(sink_.lost, 0U);
  EXPECT_EQ(sink_.hits[0].hit.new_value.certainty, Certainty::approximate);
  target.reaped(0);
}

TEST_F(PtraceCollectorTest, ThreadStartedLaterIsWatchedFromItsFirstInstruction) {
  constexpr std::size_t kThreads = 50;
  TestTarget target([] {
    page->ready = 1;
    await(page->go, 1);
    for (std::size_t i = 0; i < kThreads; ++i) std::thread([] { write_watched(1); }).join();
    return 0;
  });
  await(page->ready, 1);
  install(whole(target.pid()), watched_plan());
  page->go = 1;
  ASSERT_TRUE(pump_to_end(*collector_, sink_));
  EXPECT_EQ(sink_.hits.size(), kThreads);
  EXPECT_EQ(std::ranges::count(sink_.events, Kind::thread_started, &TargetEvent::kind), kThreads);
  EXPECT_EQ(std::ranges::count(sink_.events, Kind::thread_exited, &TargetEvent::kind), kThreads);
  target.reaped(0);
}

TEST_F(PtraceCollectorTest, OnlyTheThreadThatWasAskedForIsWatched) {
  TestTarget target([] {
    std::thread other([] {
      page->tid = ::gettid();
      page->ready = 1;
      await(page->go, 1);
      write_watched(3);
      std::thread([] { write_watched(5); }).join();
    });
    await(page->go, 1);
    write_watched(7);
    other.join();
    return 0;
  });
  await(page->ready, 1);
  const InstallReport report =
      install({.pid = target.pid(), .only_thread = ThreadId{page->tid}, .follow_children = false},
              watched_plan());
  EXPECT_EQ(report.threads, 1U);
  page->go = 1;
  ASSERT_TRUE(pump_to_end(*collector_, sink_));
  EXPECT_EQ(sink_.hits.size(), 3U);
  EXPECT_EQ(WEXITSTATUS(target.wait()), 0);
}

TEST_F(PtraceCollectorTest, SignalsOfTheProgramAreItsOwn) {
  TestTarget target([] {
    struct sigaction count{};
    count.sa_flags = SA_SIGINFO;
    count.sa_sigaction = [](int number, siginfo_t* info, void* context) {
      page->signals.fetch_add(1);
      const bool is_of_an_instruction = info->si_code > 0;
      if (number == SIGTRAP && is_of_an_instruction)
        native::go_on_behind_breakpoint(*static_cast<ucontext_t*>(context));
    };
    for (const int number : {SIGUSR1, SIGTRAP, SIGSEGV}) ::sigaction(number, &count, nullptr);
    page->ready = 1;
    await(page->go, 1);
    ::raise(SIGTRAP);
    write_watched(2);
    native::break_here();
    ::kill(::getpid(), SIGUSR1);
    ::raise(SIGSEGV);
    write_watched(2);
    return page->signals.load();
  });
  await(page->ready, 1);
  install(whole(target.pid()), watched_plan());
  target.kill(SIGUSR1);
  ASSERT_TRUE(pump(*collector_, sink_, [] { return page->signals == 1; }));
  page->go = 1;
  ASSERT_TRUE(pump_to_end(*collector_, sink_));
  EXPECT_EQ(sink_.hits.size(), 4U);
  const TargetEvent* exit = sink_.find(Kind::process_exited);
  ASSERT_NE(exit, nullptr);
  EXPECT_EQ(WEXITSTATUS(*exit->wait_status), 5);
  target.reaped(0);
}

int fork_and_write() {
  page->ready = 1;
  await(page->go, 1);
  const pid_t child = ::fork();
  if (child == 0) {
    write_watched(3);
    ::_exit(9);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  write_watched(2);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

TEST_F(PtraceCollectorTest, ForkedChildIsLeftAloneUnlessAsked) {
  TestTarget target(fork_and_write);
  await(page->ready, 1);
  install(whole(target.pid()), watched_plan());
  page->go = 1;
  ASSERT_TRUE(pump_to_end(*collector_, sink_));
  EXPECT_EQ(sink_.hits.size(), 2U);
  EXPECT_EQ(sink_.find(Kind::process_forked), nullptr);
  ASSERT_NE(sink_.find(Kind::process_exited), nullptr);
  EXPECT_EQ(WEXITSTATUS(*sink_.find(Kind::process_exited)->wait_status), 9);
  target.reaped(0);
}

TEST_F(PtraceCollectorTest, ForkedChildIsFollowedWhenAsked) {
  TestTarget target(fork_and_write);
  await(page->ready, 1);
  install(whole(target.pid(), true), watched_plan());
  page->go = 1;
  ASSERT_TRUE(pump_to_end(*collector_, sink_));
  EXPECT_EQ(sink_.hits.size(), 5U);
  const TargetEvent* forked = sink_.find(Kind::process_forked);
  ASSERT_NE(forked, nullptr);
  EXPECT_EQ(forked->parent, target.pid());
  EXPECT_EQ(sink_.by_thread[forked->tid.value], 3U);
  EXPECT_EQ(std::ranges::count(sink_.events, Kind::process_exited, &TargetEvent::kind), 2);
  target.reaped(0);
}

TEST_F(PtraceCollectorTest, ThreadAsleepInTheKernelIsSaidAndGetsItsRegistersWhenItReturns) {
  TestTarget target([] {
    // The parent of a vfork sleeps in a way that no stop reaches until the child ends.
    // The child does nothing but wait, which is what vfork is wanted for here.
    // NOLINTBEGIN(bugprone-unsafe-functions,clang-analyzer-*)
    const pid_t child = ::vfork();
    if (child == 0) {
      page->ready = 1;
      await(page->go, 1);
      ::_exit(0);
    }
    // NOLINTEND(bugprone-unsafe-functions,clang-analyzer-*)
    write_watched(2);
    ::waitpid(child, nullptr, 0);
    return 0;
  });
  await(page->ready, 1);
  const InstallReport report = install(whole(target.pid()), watched_plan());
  EXPECT_THAT(report.notes, ::testing::Contains(::testing::HasSubstr("sleep in the kernel")));
  page->go = 1;
  ASSERT_TRUE(pump_to_end(*collector_, sink_));
  EXPECT_EQ(sink_.hits.size(), 2U);
  target.reaped(0);
}

TEST_F(PtraceCollectorTest, ExecEndsTheWatchAndTheNewProgramRuns) {
  TestTarget target([] {
    page->ready = 1;
    await(page->go, 1);
    write_watched(1);
    // From another thread: the kernel then takes the main thread away.
    std::thread([] { ::execl("/bin/sh", "sh", "-c", "exit 6", nullptr); }).join();
    return 1;
  });
  await(page->ready, 1);
  install(whole(target.pid()), watched_plan());
  page->go = 1;
  ASSERT_TRUE(pump_to_end(*collector_, sink_));
  EXPECT_EQ(sink_.hits.size(), 1U);
  const TargetEvent* executed = sink_.find(Kind::executed);
  ASSERT_NE(executed, nullptr);
  EXPECT_EQ(executed->pid, target.pid());
  EXPECT_EQ(WEXITSTATUS(target.wait()), 6);
}

TEST_F(PtraceCollectorTest, KilledTargetEndsWithItsSignal) {
  TestTarget target([] {
    std::thread([] {
      page->ready = 1;
      while (true) ::pause();
    }).join();
    return 0;
  });
  await(page->ready, 1);
  install(whole(target.pid()), watched_plan());
  target.kill(SIGKILL);
  ASSERT_TRUE(pump_to_end(*collector_, sink_));
  const TargetEvent* exit = sink_.find(Kind::process_exited);
  ASSERT_NE(exit, nullptr);
  EXPECT_TRUE(WIFSIGNALED(*exit->wait_status));
  EXPECT_EQ(WTERMSIG(*exit->wait_status), SIGKILL);
  target.reaped(0);
}

// Threads that write without pause, and count what they wrote.
int write_until_told() {
  constexpr int kWriters = 3;
  std::vector<std::thread> threads;
  threads.reserve(kWriters);
  for (int i = 0; i < kWriters; ++i) {
    threads.emplace_back([] {
      page->ready.fetch_add(1);
      while (page->go == 0) {
        watched = 1;
        page->writes.fetch_add(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return 4;
}

TEST_F(PtraceCollectorTest, StopInTheMiddleOfHitsLeavesTargetRunningAndUnwatched) {
  TestTarget target(write_until_told);
  await(page->ready, 3);
  for (int round = 0; round < 5; ++round) {
    const std::size_t before = sink_.hits.size();
    install(whole(target.pid()), watched_plan());
    ASSERT_TRUE(pump(*collector_, sink_, [&] { return sink_.hits.size() >= before + 200; }));
    collector_->stop(sink_);
    collector_->stop(sink_);
    const std::size_t after = sink_.hits.size();
    const std::int64_t writes = page->writes;
    while (page->writes < writes + 100'000) ASSERT_NE(state_of(target.pid()), 'Z');
    EXPECT_EQ(sink_.hits.size(), after);
    EXPECT_EQ(read_status(target.pid())->tracer.value, 0);
  }
  page->go = 1;
  const int status = target.wait();
  EXPECT_TRUE(WIFEXITED(status)) << WTERMSIG(status);
  EXPECT_EQ(sink_.lost, 0U);
}

TEST_F(PtraceCollectorTest, HitsAndWritesAgreeAcrossInstallAndStop) {
  // One thread that writes at its own pace: every write between install and stop is a hit.
  TestTarget target([] {
    page->ready = 1;
    while (page->go == 0) {
      if (page->tid == 1) {
        watched = watched + 1;
        page->writes.fetch_add(1);
      } else if (page->tid == 2) {
        page->ready = 2;
      }
    }
    return 0;
  });
  await(page->ready, 1);
  install(whole(target.pid()), watched_plan());
  page->tid = 1;
  ASSERT_TRUE(pump(*collector_, sink_, [&] { return sink_.hits.size() >= 300; }));
  page->tid = 2;
  ASSERT_TRUE(pump(*collector_, sink_, [&] {
    return page->ready == 2 && sink_.hits.size() == static_cast<std::size_t>(page->writes.load());
  }));
  std::uint64_t expected = 0;
  for (const auto& record : sink_.hits) EXPECT_EQ(record.hit.new_value.bits, ++expected);
  collector_->stop(sink_);
  EXPECT_EQ(sink_.hits.size(), static_cast<std::size_t>(page->writes.load()));
  page->go = 1;
  EXPECT_EQ(target.wait(), 0);
}

TEST_F(PtraceCollectorTest, StoppedTargetStaysStoppedAndContinuesAsUntraced) {
  TestTarget target(write_until_told);
  await(page->ready, 3);
  target.kill(SIGSTOP);
  while (state_of(target.pid()) != 'T') ::usleep(1000);
  install(whole(target.pid()), watched_plan());
  const std::int64_t writes = page->writes;
  EXPECT_FALSE(pump(*collector_, sink_, [] { return false; }, std::chrono::milliseconds(100)));
  EXPECT_EQ(page->writes, writes);
  EXPECT_TRUE(sink_.hits.empty());

  target.kill(SIGCONT);
  ASSERT_TRUE(pump(*collector_, sink_, [&] { return sink_.hits.size() >= 20; }));
  target.kill(SIGSTOP);
  ASSERT_TRUE(hits_cease());

  collector_->stop(sink_);
  ::usleep(20'000);
  EXPECT_EQ(state_of(target.pid()), 'T');
  target.kill(SIGCONT);
  page->go = 1;
  EXPECT_TRUE(WIFEXITED(target.wait()));
}

TEST_F(PtraceCollectorTest, RangeOfSeveralSlotsNamesTheOneThatFired) {
  TestTarget target([] {
    page->ready = 1;
    await(page->go, 1);
    watched_bytes[1] = 5;
    watched_bytes[0] = 6;  // outside
    watched_bytes[6] = 7;
    watched_bytes[7] = 8;  // outside
    return 0;
  });
  await(page->ready, 1);
  // [1, 7): slots 1+1, 2+2, 4+2, 6+1, or fewer where the architecture can.
  const Plan plan = plan_for(&watched_bytes[1], 6);
  const InstallReport report = install(whole(target.pid()), plan);
  EXPECT_EQ(report.slots, plan.slots().size());
  page->go = 1;
  ASSERT_TRUE(pump_to_end(*collector_, sink_));
  ASSERT_EQ(sink_.hits.size(), 2U);
  EXPECT_EQ(sink_.hits[0].hit.address, plan.slots().front().address);
  EXPECT_EQ(sink_.hits[1].hit.address, plan.slots().back().address);
  // The whole range, not the slot: it fits a value.
  EXPECT_EQ(sink_.hits[0].hit.new_value.bits, 5U);
  EXPECT_EQ(sink_.hits[1].hit.new_value.bits, 5U | std::uint64_t{7} << 40);
  target.reaped(0);
}

// Split as the machine needs it, and no byte beside them is seen.
TEST_F(PtraceCollectorTest, UpToEightBytesAtAnyOffsetAreSeenWhole) {
  for (std::size_t offset = 0; offset < 8; ++offset) {
    for (std::size_t length = 1; length <= 8; ++length) {
      SCOPED_TRACE(::testing::Message() << length << " bytes at offset " << offset);
      page->ready = 0;
      page->go = 0;
      TestTarget target([] {
        page->ready = 1;
        await(page->go, 1);
        for (volatile std::uint8_t& byte : watched_bytes) byte = 0xa5;
        return 0;
      });
      await(page->ready, 1);
      const auto collector = make_ptrace_collector();
      RecordingSink sink;
      const auto report =
          collector->install(whole(target.pid()), plan_for(&watched_bytes[offset], length), {});
      ASSERT_TRUE(report.has_value()) << report.error().message;
      page->go = 1;
      ASSERT_TRUE(pump_to_end(*collector, sink));
      target.reaped(0);
      ASSERT_EQ(sink.hits.size(), length);
      for (std::size_t i = 0; i < length; ++i) {
        EXPECT_EQ(sink.hits[i].hit.new_value.bits >> (8 * i), 0xa5U);
      }
    }
  }
}

TEST_F(PtraceCollectorTest, CallsOfFunctionAreReportedWithCaller) {
  TestTarget target([] {
    page->ready = 1;
    await(page->go, 1);
    for (int i = 0; i < 10; ++i) called_function();
    return 0;
  });
  await(page->ready, 1);
  install(whole(target.pid()),
          plan_for(reinterpret_cast<const void*>(&called_function), 1, Access::execute));
  page->go = 1;
  ASSERT_TRUE(pump_to_end(*collector_, sink_));
  ASSERT_EQ(sink_.hits.size(), 10U);
  EXPECT_EQ(page->writes, 10);
  const auto& record = sink_.hits[0];
  const RemoteAddress entry(reinterpret_cast<std::uintptr_t>(&called_function));
  EXPECT_EQ(record.hit.trap_ip, code_address(entry));
  ASSERT_TRUE(record.stack_top.has_value());
  EXPECT_TRUE(native::is_behind_a_call(record.stack_top->value()));
  target.reaped(0);
}

TEST_F(PtraceCollectorTest, DwarfModeCopiesTheStack) {
  TestTarget target([] {
    page->ready = 1;
    await(page->go, 1);
    write_watched(1);
    return 0;
  });
  await(page->ready, 1);
  install(whole(target.pid()), watched_plan(),
          {.stack = StackMode::dwarf, .dwarf_stack_bytes = ByteCount{1024}});
  page->go = 1;
  ASSERT_TRUE(pump_to_end(*collector_, sink_));
  ASSERT_EQ(sink_.hits.size(), 1U);
  EXPECT_EQ(sink_.hits[0].stack_bytes, 1024U);
  EXPECT_TRUE(sink_.hits[0].callers.empty());
  target.reaped(0);
}

TEST_F(PtraceCollectorTest, AttachesToManyThreadsQuickly) {
  constexpr int kThreads = 200;
  TestTarget target([] {
    static std::atomic<bool> started{false};
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([] {
        page->ready.fetch_add(1);
        started.wait(false);
        write_watched(1);
      });
    }
    await(page->go, 1);
    started = true;
    started.notify_all();
    for (std::thread& thread : threads) thread.join();
    return 0;
  });
  await(page->ready, kThreads);
  const auto start = std::chrono::steady_clock::now();
  const InstallReport report = install(whole(target.pid()), watched_plan());
  const auto took =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start);
  EXPECT_EQ(report.threads, kThreads + 1U);
  EXPECT_THAT(report.notes, ::testing::ElementsAre(::testing::HasSubstr("system calls")));
  std::printf("attach to %d threads: %.1f ms\n", kThreads, took.count());
  EXPECT_LT(took.count(), 1000.0);
  page->go = 1;
  ASSERT_TRUE(pump_to_end(*collector_, sink_));
  EXPECT_EQ(sink_.by_thread.size(), static_cast<std::size_t>(kThreads));
  target.reaped(0);
}

}  // namespace
}  // namespace trapline::linux_port
