// More of hotplug_contract.h, for ports whose contexts run at the same time.
//
//     INSTANTIATE_TYPED_TEST_SUITE_P(Linux, HotplugContractThreads, LinuxUnderTest);
//
// The machine under test also has
//     Thread         another context that runs a function: made with it, join() waits for its end
//     kThreads       how many there can be at once, 2 at least
//     pause()        lets time pass, some 20 ms
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <shared_mutex>
#include <string>
#include <utility>

#include "contract/hotplug_contract.h"

namespace trapline::contract {

template <typename UnderTest>
class HotplugContractThreads : public HotplugContract<UnderTest> {};

TYPED_TEST_SUITE_P(HotplugContractThreads);

TYPED_TEST_P(HotplugContractThreads, AWriterWaitsForTheReadersOfOtherThreads) {
  if (const auto why = this->lacks_other_cpu(); !why.empty()) GTEST_SKIP() << why;
  const CpuId cpu = this->under_test_.others().front();
  std::atomic<bool> is_done{false};
  std::shared_lock lock(this->online_cpus());
  typename TypeParam::Thread writer([&] {
    this->up(cpu);
    is_done = true;
  });
  // Long enough to be seen if it does not wait.
  TypeParam::pause();
  EXPECT_FALSE(is_done);
  EXPECT_FALSE(this->online_cpus().cpus().contains(cpu));
  lock.unlock();
  writer.join();
  EXPECT_TRUE(is_done);
  EXPECT_TRUE(this->is_online(cpu));
  this->down(cpu);
}

TYPED_TEST_P(HotplugContractThreads, ReadersOfManyThreadsHoldTheLockTogether) {
  constexpr unsigned kThreads = std::min(16U, TypeParam::kThreads);
  std::atomic<unsigned> inside{0};
  std::deque<typename TypeParam::Thread> readers;
  for (unsigned index = 0; index < kThreads; ++index) {
    readers.emplace_back([&] {
      const std::shared_lock lock(this->online_cpus());
      ++inside;
      while (inside < kThreads) TypeParam::pause();
      EXPECT_TRUE(this->online_cpus().read_lock_held());
    });
  }
  for (auto& reader : readers) reader.join();
  EXPECT_FALSE(this->online_cpus().read_lock_held());
}

TYPED_TEST_P(HotplugContractThreads, ReadersFindEveryOnlineCpuSetUpWhileCpusComeAndGo) {
  using Fixture = TestFixture;
  if (const auto why = this->lacks_other_cpu(); !why.empty()) GTEST_SKIP() << why;
  const CpuId cpu = this->under_test_.others().front();
  typename Fixture::Probe a(*this, "a");
  const StateHandle state = this->set_up(a, Section::online, 0);
  std::atomic<bool> ends{false};
  constexpr unsigned kReaders = std::min(4U, TypeParam::kThreads);
  std::atomic<unsigned> readers_inside_once{0};
  std::deque<typename TypeParam::Thread> readers;
  for (unsigned index = 0; index < kReaders; ++index) {
    readers.emplace_back([&] {
      bool is_first = true;
      while (!ends) {
        const std::shared_lock lock(this->online_cpus());
        EXPECT_EQ(a.is_up(cpu), this->online_cpus().cpus().contains(cpu));
        if (std::exchange(is_first, false)) ++readers_inside_once;
      }
    });
  }
  while (readers_inside_once < kReaders) TypeParam::pause();
  for (unsigned cycle = 0; cycle < TypeParam::kCycles; ++cycle) {
    this->up(cpu);
    this->down(cpu);
  }
  ends = true;
  for (auto& reader : readers) reader.join();
}

TYPED_TEST_P(HotplugContractThreads, SetupsOfManyThreadsAndCpuOperationsLeaveNothingBehind) {
  using Fixture = TestFixture;
  if (const auto why = this->lacks_other_cpu(); !why.empty()) GTEST_SKIP() << why;
  const CpuId anchor = this->under_test_.anchor();
  const CpuId cpu = this->under_test_.others().front();
  std::atomic<bool> ends{false};
  constexpr unsigned kUsers = std::min(3U, TypeParam::kThreads);
  std::deque<typename TypeParam::Thread> users;
  for (std::uint16_t index = 0; index < kUsers; ++index) {
    users.emplace_back([&, index] {
      typename Fixture::Probe probe(*this, std::string(1, static_cast<char>('a' + index)));
      do {
        {
          const StateHandle state = this->set_up(probe, Section::online, index);
          EXPECT_TRUE(probe.is_up(anchor));
        }
        EXPECT_FALSE(probe.is_up(anchor));
        EXPECT_FALSE(probe.is_up(cpu));
      } while (!ends);
    });
  }
  for (unsigned cycle = 0; cycle < TypeParam::kCycles; ++cycle) {
    this->up(cpu);
    this->down(cpu);
  }
  ends = true;
  for (auto& user : users) user.join();
}

REGISTER_TYPED_TEST_SUITE_P(HotplugContractThreads, AWriterWaitsForTheReadersOfOtherThreads,
                            ReadersOfManyThreadsHoldTheLockTogether,
                            ReadersFindEveryOnlineCpuSetUpWhileCpusComeAndGo,
                            SetupsOfManyThreadsAndCpuOperationsLeaveNothingBehind);

}  // namespace trapline::contract
