#include "trapline/linux/reader_slots.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <set>
#include <thread>
#include <vector>

namespace trapline::linux_port {
namespace {

TEST(ReaderSlots, ThreadKeepsItsSlot) {
  ReaderSlots slots;
  EXPECT_EQ(&slots.mine(), &slots.mine());
}

TEST(ReaderSlots, EachOfManyThreadsHasASlotOfItsOwn) {
  // More than the first two chunks have.
  constexpr int kThreads = 300;
  ReaderSlots slots;
  std::mutex mutex;
  std::set<ReaderSlots::Slot*> seen;
  std::barrier all_have_one(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      ReaderSlots::Slot& mine = slots.mine();
      mine.held.store_relaxed(1);
      {
        const std::lock_guard lock(mutex);
        seen.insert(&mine);
      }
      all_have_one.arrive_and_wait();
      mine.held.store_relaxed(0);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen.size(), kThreads);
  std::size_t visited = 0;
  slots.for_each([&](ReaderSlots::Slot& slot) { visited += seen.count(&slot); });
  EXPECT_EQ(visited, kThreads);
}

TEST(ReaderSlots, SlotsOfThreadsThatEndedAreUsedAgain) {
  ReaderSlots slots;
  std::set<ReaderSlots::Slot*> seen;
  for (int i = 0; i < 100; ++i) std::thread([&] { seen.insert(&slots.mine()); }).join();
  EXPECT_EQ(seen.size(), 1U);
}

TEST(ReaderSlots, ObjectsHaveSlotsOfTheirOwn) {
  ReaderSlots first;
  ReaderSlots second;
  ReaderSlots::Slot* const mine = &first.mine();
  EXPECT_NE(mine, &second.mine());
  EXPECT_EQ(mine, &first.mine());
}

// Its destructor runs after those of thread_local objects that were made later.
struct LateUser {
  ~LateUser() {
    if (slots != nullptr) late->store(&slots->mine());
  }
  ReaderSlots* slots = nullptr;
  std::atomic<ReaderSlots::Slot*>* late = nullptr;
};

TEST(ReaderSlots, ThreadHasItsSlotUntilItsOwnObjectsAreGone) {
  ReaderSlots slots;
  std::atomic<ReaderSlots::Slot*> early = nullptr;
  std::atomic<ReaderSlots::Slot*> late = nullptr;
  std::thread([&] {
    thread_local LateUser user;
    user.slots = &slots;
    user.late = &late;
    early = &slots.mine();
  }).join();
  EXPECT_EQ(early, late);
}

}  // namespace
}  // namespace trapline::linux_port
