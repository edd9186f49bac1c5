// Real hits: skipped where debug registers never fire, and run in tests/vm.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <set>
#include <thread>
#include <vector>

#include "native_machine.h"
#include "trapline/linux/watchpoint.h"

namespace trapline::linux_port {
namespace {

// Written and read by plain instructions, by threads at the same time. Not std::atomic:
// unoptimized, its store is an exchange whatever the order, and those QEMU 7.2 tells watchpoints
// wrongly (tests/vm/guests/amd64).
alignas(8) std::uint64_t word;

void store(std::uint64_t value) {
  __atomic_store_n(&word, value, __ATOMIC_RELAXED);
}

std::uint64_t load() {
  return __atomic_load_n(&word, __ATOMIC_RELAXED);
}

// What a handler kept; nothing is allocated in it.
struct Kept {
  std::atomic<std::uint32_t> hits{0};
  std::atomic<pid_t> tid{0};
  std::atomic<std::uint64_t> old_value{0};
  std::atomic<std::uint64_t> new_value{0};
  std::atomic<std::uintptr_t> code{0};
  std::atomic<std::uintptr_t> caller{0};
  std::atomic<bool> is_late{false};

  WatchpointHandler handler() {
    return [this](const WatchpointHit& hit) {
      tid = ::gettid();
      old_value = hit.old_as<std::uint64_t>().value_or(~std::uint64_t{0});
      new_value = hit.new_as<std::uint64_t>().value_or(~std::uint64_t{0});
      code = hit.code_address();
      caller = hit.callers.empty() ? 0 : hit.callers.front();
      is_late = hit.is_late;
      ++hits;
    };
  }
};

[[gnu::noinline]] void store_here(std::uint64_t value) {
  native::store_first_argument(word, value);
}

TEST(WatchpointHits, AreToldInTheThreadThatWroteBeforeItGoesOn) {
  store(1);
  Kept kept;
  const auto watch = Watchpoint::create(word, Access::write, kept.handler());
  ASSERT_TRUE(watch) << advice_on(watch.error());
  store_here(2);
  EXPECT_EQ(kept.hits, 1U);
  EXPECT_EQ(kept.tid, ::gettid());
  EXPECT_EQ(kept.old_value, 1U);
  EXPECT_EQ(kept.new_value, 2U);
  EXPECT_FALSE(kept.is_late);
  const auto start = reinterpret_cast<std::uintptr_t>(&store_here);
  EXPECT_GE(kept.code, start);
  EXPECT_LT(kept.code, start + 64);
  const auto here = kept.caller.load();
  store_here(3);
  EXPECT_NE(here, kept.caller) << "another call of it";
  EXPECT_EQ(kept.old_value, 2U);
  EXPECT_EQ(watch->count(), 2U);
  EXPECT_EQ(load(), 3U);  // reading is not watched
  EXPECT_EQ(kept.hits, 2U);
}

TEST(WatchpointHits, ComeFromThreadsThatWereThereAndThreadsToCome) {
  store(0);
  Kept kept;
  std::atomic<bool> go{false};
  std::thread earlier([&] {
    while (!go) std::this_thread::yield();
    store(10);
  });
  const auto watch = Watchpoint::create(word, Access::write, kept.handler());
  ASSERT_TRUE(watch) << advice_on(watch.error());
  go = true;
  earlier.join();
  EXPECT_EQ(kept.hits, 1U);
  std::thread([] { std::thread([] { store(11); }).join(); }).join();
  EXPECT_EQ(kept.hits, 2U);
  EXPECT_NE(kept.tid, ::gettid());
}

// Set by the handler, which runs in the thread that wrote.
thread_local constinit volatile std::sig_atomic_t was_told = 0;

// Threads that start while the watch is being set: each that writes after it is told.
TEST(WatchpointHits, NoThreadIsMissedWhileManyStart) {
  store(0);
  std::atomic<std::uint64_t> writes{0};
  std::atomic<bool> counts{false};
  std::atomic<bool> ends{false};
  std::atomic<std::uint64_t> missed{0};
  std::atomic<int> writing{0};
  const auto write_once = [&] {
    ++writing;
    const bool counted = counts;
    store(1);
    if (counted) ++writes;
    if (counted && was_told == 0) ++missed;
    --writing;
  };
  std::vector<std::thread> starters;
  for (int i = 0; i < 2; ++i) {
    starters.emplace_back([&] {
      while (!ends) std::thread(write_once).join();
    });
  }
  for (int round = 0; round < 20; ++round) {
    const auto watch =
        Watchpoint::create(word, Access::write, [](const WatchpointHit&) { was_told = 1; });
    ASSERT_TRUE(watch) << advice_on(watch.error());
    counts = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    counts = false;
    while (writing > 0) std::this_thread::yield();  // they are still counted
  }
  ends = true;
  for (std::thread& thread : starters) thread.join();
  EXPECT_EQ(missed, 0U);
  EXPECT_GT(writes, 20U);
}

TEST(WatchpointHits, EveryOneOfManyThreadsIsToldEachOfItsWrites) {
  constexpr std::uint64_t kThreads = 8;
  constexpr std::uint64_t kWrites = 500;
  std::atomic<std::uint64_t> hits{0};
  const auto watch = Watchpoint::create(word, Access::write, [&](const WatchpointHit&) { ++hits; });
  ASSERT_TRUE(watch) << advice_on(watch.error());
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([] {
      for (std::uint64_t n = 0; n < kWrites; ++n) store(n);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(hits, kThreads * kWrites);
  EXPECT_EQ(watch->count(), kThreads * kWrites);
}

TEST(WatchpointHits, CanBeDestroyedWhileThreadsKeepWriting) {
  std::atomic<bool> ends{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!ends) store(1);
    });
  }
  std::uint64_t hits = 0;
  for (int round = 0; round < 20; ++round) {
    auto lives = std::make_unique<std::atomic<bool>>(true);
    std::atomic<std::uint64_t> told{0};
    {
      const auto watch = Watchpoint::create(word, Access::write, [&](const WatchpointHit&) {
        if (!*lives) ++wrong;
        ++told;
      });
      ASSERT_TRUE(watch) << advice_on(watch.error());
      while (told < 3) std::this_thread::yield();
    }
    *lives = false;
    hits += told;
  }
  ends = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GE(hits, 60U);
}

TEST(WatchpointHits, AReadIsToldOnceWhereReadsAreWatched) {
  store(5);
  Kept kept;
  const auto watch = Watchpoint::create(word, Access::read_write, kept.handler());
  ASSERT_TRUE(watch) << advice_on(watch.error());
  const std::uint64_t value = load();
  EXPECT_EQ(value, 5U);
  EXPECT_EQ(kept.hits, 1U);
  EXPECT_EQ(kept.new_value, 5U);
}

TEST(WatchpointHits, AWriteIsToldOnceWhereReadsAreWatched) {
  store(5);
  Kept kept;
  const auto watch = Watchpoint::create(word, Access::read_write, kept.handler());
  ASSERT_TRUE(watch) << advice_on(watch.error());
  store(6);
  EXPECT_EQ(kept.hits, 1U);
  EXPECT_EQ(kept.old_value, 5U);
  EXPECT_EQ(kept.new_value, 6U);
}

void expect_an_exchange_is_told_once(Access access) {
  store(5);
  Kept kept;
  const auto watch = Watchpoint::create(word, access, kept.handler());
  ASSERT_TRUE(watch) << advice_on(watch.error());
  EXPECT_EQ(__atomic_exchange_n(&word, 6, __ATOMIC_RELAXED), 5U);
  EXPECT_EQ(kept.hits, 1U);
  EXPECT_EQ(kept.old_value, 5U);
  EXPECT_EQ(kept.new_value, 6U);
}

TEST(WatchpointHits, AnExchangeIsToldOnceWhereWritesAreWatched) {
  expect_an_exchange_is_told_once(Access::write);
}

TEST(WatchpointHits, AnExchangeIsToldOnceWhereReadsAreWatched) {
  expect_an_exchange_is_told_once(Access::read_write);
}

[[gnu::noinline]] void watched_function() {
  asm volatile("");
}

TEST(WatchpointHits, AnInstructionIsToldBeforeItRuns) {
  std::atomic<int> hits{0};
  std::atomic<std::uintptr_t> ip{0};
  const auto address = reinterpret_cast<std::uintptr_t>(&watched_function);
  const auto watch =
      Watchpoint::create(Request{RemoteAddress(address), ByteCount{1}, Access::execute},
                         [&](const WatchpointHit& hit) {
                           ++hits;
                           ip = hit.code_address();
                         });
  ASSERT_TRUE(watch) << advice_on(watch.error());
  watched_function();
  watched_function();
  EXPECT_EQ(hits, 2);
  EXPECT_EQ(ip, address);
}

TEST(WatchpointHits, WhatTheHandlerWritesIsNotTold) {
  store(1);
  std::atomic<int> hits{0};
  const auto watch = Watchpoint::create(word, Access::write, [&](const WatchpointHit&) {
    ++hits;
    store(100);
  });
  ASSERT_TRUE(watch) << advice_on(watch.error());
  store(2);
  EXPECT_EQ(hits, 1);
  EXPECT_EQ(load(), 100U);
  store(3);
  EXPECT_EQ(hits, 2);
}

TEST(WatchpointHits, WhileSigtrapIsBlockedTheyComeLate) {
  store(1);
  Kept kept;
  const auto watch = Watchpoint::create(word, Access::write, kept.handler());
  ASSERT_TRUE(watch) << advice_on(watch.error());
  sigset_t traps;
  ::sigemptyset(&traps);
  ::sigaddset(&traps, SIGTRAP);
  ::pthread_sigmask(SIG_BLOCK, &traps, nullptr);
  store(2);
  EXPECT_EQ(kept.hits, 0U);
  ::pthread_sigmask(SIG_UNBLOCK, &traps, nullptr);
  EXPECT_EQ(kept.hits, 1U);
  EXPECT_TRUE(kept.is_late);
  EXPECT_EQ(kept.new_value, 2U);
}

TEST(WatchpointHits, AChildOfForkIsNotWatchedAndAWatchOfItsOwnIs) {
  Kept kept;
  const auto watch = Watchpoint::create(word, Access::write, kept.handler());
  ASSERT_TRUE(watch) << advice_on(watch.error());
  const pid_t child = ::fork();
  if (child == 0) {
    store(5);
    if (kept.hits != 0) ::_exit(1);
    const auto own = Watchpoint::create(word, Access::write, kept.handler());
    if (!own) ::_exit(2);
    store(6);
    ::_exit(kept.hits == 1 && kept.new_value == 6 ? 0 : 3);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 0);
  store(7);
  EXPECT_EQ(kept.hits, 1U);
}

// The child's copies of the descriptors keep the events; a SIGTRAP of one would go to whoever has
// that signal now.
TEST(WatchpointHits, EndWithTheWatchThoughAChildOfForkLives) {
  static std::atomic<int> traps{0};
  pid_t child = -1;
  {
    const auto watch = Watchpoint::create(word, Access::write, [](const WatchpointHit&) {});
    ASSERT_TRUE(watch) << advice_on(watch.error());
    child = ::fork();
    if (child == 0) {
      ::pause();
      ::_exit(0);
    }
  }
  struct sigaction counting{};
  counting.sa_handler = [](int) { ++traps; };
  struct sigaction before{};
  ::sigaction(SIGTRAP, &counting, &before);
  store(1);
  std::thread([] { store(2); }).join();
  ::sigaction(SIGTRAP, &before, nullptr);
  EXPECT_EQ(traps, 0);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

// The program that is executed has no handler: a watch that stayed would end it.
TEST(WatchpointHits, EndWithExec) {
  const pid_t child = ::fork();
  if (child == 0) {
    // On the stack, where the next program's is too.
    volatile std::uint64_t local = 0;
    const auto watch = Watchpoint::create(local, Access::write, [](const WatchpointHit&) {});
    local = 1;
    if (watch && watch->count() == 1) ::execl("/bin/echo", "echo", "-n", nullptr);
    ::_exit(1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

// A chain that ends in nowhere, at the moment of the hit.
TEST(WatchpointHits, SurviveAFramePointerThatIsNone) {
  Kept kept;
  const auto watch = Watchpoint::create(word, Access::write, kept.handler());
  ASSERT_TRUE(watch) << advice_on(watch.error());
  native::store_without_frame(word, 9);
  EXPECT_EQ(kept.hits, 1U);
  EXPECT_EQ(kept.caller, 0U);
  EXPECT_EQ(kept.new_value, 9U);
}

}  // namespace
}  // namespace trapline::linux_port
