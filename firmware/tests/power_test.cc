// CPUs off and on: what PSCI may answer, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ports/armv7_virt/psci.h"
#include "support.h"

namespace trapline::firmware::testing {
namespace {

using armv7_virt::psci::Function;
using armv7_virt::psci::Power;
using armv7_virt::psci::Result;

class PowerTest : public BoardTest {
 protected:
  [[nodiscard]] static Power power(CpuId cpu) {
    return armv7_virt::psci::affinity_info(armv7_virt::cpu_at(cpu).mpidr);
  }
};

TEST_F(PowerTest, ACpuThatIsDownIsReallyOff) {
  down(kCpu2);
  EXPECT_EQ(power(kCpu2), Power::off);
  up(kCpu2);
  EXPECT_EQ(power(kCpu2), Power::on);
}

TEST_F(PowerTest, ARefusedCpuOnIsAnErrorAndUndone) {
  down(kCpu1);
  armv7_virt::psci::refuse_next(Function::cpu_on, Result::internal_failure);
  const auto refused = machine().cpu_up(kCpu1);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error(),
            (Error{ErrorCode::os_failure, static_cast<int>(Result::internal_failure)}));
  EXPECT_FALSE(is_online(kCpu1));
  EXPECT_EQ(machine().status(kCpu1)->state, hotplug::StateLayout::offline());
  up(kCpu1);
}

TEST_F(PowerTest, ARefusedCpuOffLeavesTheCpuAtWork) {
  armv7_virt::psci::refuse_next(Function::cpu_off, Result::denied);
  const auto refused = machine().cpu_down(kCpu3);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error(), (Error{ErrorCode::os_failure, static_cast<int>(Result::denied)}));
  EXPECT_TRUE(is_online(kCpu3));
  EXPECT_EQ(power(kCpu3), Power::on);
  bool has_run = false;
  CpuThread(kCpu3, [&] { has_run = true; }).join();
  EXPECT_TRUE(has_run);
  down(kCpu3);
  EXPECT_EQ(power(kCpu3), Power::off);
}

TEST_F(PowerTest, AlreadyOnIsWaitedFor) {
  for (const Result answer : {Result::already_on, Result::on_pending}) {
    down(kCpu1);
    // Somebody else has started it by the time it is asked for.
    armv7_virt::psci::replace_next_on(answer);
    EXPECT_TRUE(machine().cpu_up(kCpu1).has_value());
    EXPECT_TRUE(is_online(kCpu1));
  }
}

TEST_F(PowerTest, ACpuThatIsAlreadyOnAndDoesNotArriveTimesOut) {
  const ShortPowerLimit limit;
  down(kCpu1);
  armv7_virt::psci::refuse_next(Function::cpu_on, Result::already_on);
  EXPECT_EQ(machine().cpu_up(kCpu1).error().code, ErrorCode::timed_out);
  EXPECT_TRUE(machine().status(kCpu1)->did_not_arrive);
  up(kCpu1);
  EXPECT_FALSE(machine().status(kCpu1)->did_not_arrive);
}

TEST_F(PowerTest, ACpuThatPsciNeverSaysIsOffIsGoneAndComesBackWhenItDoes) {
  const ShortPowerLimit limit;
  armv7_virt::psci::never_say_off(true);
  EXPECT_TRUE(machine().cpu_down(kCpu2).has_value()) << "it serves nothing any more";
  EXPECT_TRUE(armv7_virt::is_off_unconfirmed(kCpu2));
  EXPECT_FALSE(is_online(kCpu2));
  EXPECT_EQ(machine().cpu_up(kCpu2).error().code, ErrorCode::timed_out)
      << "its stacks are not free";
  EXPECT_TRUE(machine().status(kCpu2)->did_not_arrive);
  armv7_virt::psci::never_say_off(false);
  up(kCpu2);
  EXPECT_FALSE(armv7_virt::is_off_unconfirmed(kCpu2));
  bool has_run = false;
  CpuThread(kCpu2, [&] { has_run = true; }).join();
  EXPECT_TRUE(has_run);
}

TEST_F(PowerTest, WorkForAThreadIsRefusedOrDoneButNeverLost) {
  constexpr unsigned kTurns = 300;
  std::atomic<bool> ends{false};
  static std::atomic<unsigned> ran;
  ran = 0;
  unsigned started = 0;
  CpuThread starter(kCpu1, [&] {
    while (!ends) {
      const auto run = [](void* /*argument*/) { ++ran; };
      if (!armv7_virt::start_thread(kCpu2, run, nullptr)) continue;
      ++started;
      armv7_virt::join_thread(kCpu2);
    }
  });
  unsigned downs = 0;
  for (unsigned turn = 0; turn < kTurns; ++turn) {
    if (machine().cpu_down(kCpu2)) ++downs;
    EXPECT_TRUE(machine().cpu_up(kCpu2).has_value());
  }
  ends = true;
  starter.join();
  EXPECT_EQ(ran, started);
  EXPECT_GT(downs, 0U);
  EXPECT_GT(started, 0U);
}

TEST_F(PowerTest, WhatIsAtWorkIsNotTurnedOff) {
  EXPECT_EQ(machine().cpu_down(kCpu0).error().code, ErrorCode::wrong_state) << "it runs this test";
  EXPECT_TRUE(is_online(kCpu0));
  std::atomic<bool> ends{false};
  CpuThread busy(kCpu2, [&] {
    while (!ends) {
    }
  });
  EXPECT_EQ(machine().cpu_down(kCpu2).error().code, ErrorCode::wrong_state);
  EXPECT_TRUE(is_online(kCpu2));
  ends = true;
  busy.join();
  down(kCpu2);
}

TEST_F(PowerTest, TheLastCpuAndCpusThatAreNotThereAreRefused) {
  for (const CpuId cpu : kOtherCpus) down(cpu);
  EXPECT_EQ(machine().cpu_down(kCpu0).error().code, ErrorCode::last_cpu);
  EXPECT_EQ(machine().cpu_up(CpuId{4}).error().code, ErrorCode::cpu_not_present);
  EXPECT_EQ(machine().cpu_up(CpuId{400}).error().code, ErrorCode::cpu_not_present);
  EXPECT_TRUE(machine().cpu_down(kCpu1).has_value()) << "it is off already: nothing to do";
}

TEST_F(PowerTest, AHotplugThreadPreemptsABusyThread) {
  std::atomic<bool> ends{false};
  std::atomic<unsigned> turns{0};
  CpuThread busy(kCpu1, [&] {
    while (!ends) ++turns;
  });
  bool was_there = false;
  board().port().run_on(kCpu1, Interrupts::enabled,
                        {[](void* there, bool on_cpu) {
                           *static_cast<bool*>(there) =
                               on_cpu && armv7_virt::this_cpu().id == kCpu1;
                         },
                         &was_there});
  EXPECT_TRUE(was_there);
  const unsigned before = turns;
  while (turns == before) {
  }
  ends = true;
}

TEST_F(PowerTest, AHotplugThreadThatWaitsLetsTheThreadRun) {
  armv7_virt::Port::Mutex mutex;
  std::atomic<bool> has_mutex{false};
  std::atomic<bool> ends{false};
  CpuThread holder(kCpu1, [&] {
    mutex.lock();
    has_mutex = true;
    while (!ends) {
    }
    mutex.unlock();
  });
  while (!has_mutex) {
  }
  CpuThread(kCpu2, [&] {
    spin_for(Nanoseconds{5'000'000});
    ends = true;
  });
  // On the CPU whose thread has the mutex: spinning for it would never end.
  board().port().run_on(kCpu1, Interrupts::enabled,
                        {[](void* argument, bool /*on_cpu*/) {
                           auto& wanted = *static_cast<armv7_virt::Port::Mutex*>(argument);
                           wanted.lock();
                           wanted.unlock();
                         },
                         &mutex});
  holder.join();
}

}  // namespace
}  // namespace trapline::firmware::testing
