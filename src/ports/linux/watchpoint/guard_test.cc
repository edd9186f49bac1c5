#include "trapline/linux/guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <string>
#include <thread>

#include "ports/linux/watchpoint/ended_child.h"
#include "ports/linux/watchpoint/signal_text.h"
#include "ports/linux/watchpoint/simulated_trap.h"
#include "ports/linux/watchpoint/watch_table.h"

namespace trapline::linux_port {
namespace {

using testing::Ended;
using ::testing::HasSubstr;
using testing::raise_perf_trap;
using testing::run_child;

constexpr WatchpointOptions kUnproved{.self_test = false};
const std::string kAborted = "signal " + std::to_string(SIGABRT);

// As if the only watch there is had been hit by this thread; nothing is written.
void hit_the_only_watch() {
  raise_perf_trap(watch_table().number_of(0, 0));
}

TEST(Guard, ReportsHitsOutsideAScopeOnly) {
  int object = 0;
  int reports = 0;
  const auto guard = Guard::create(object, [&](const WatchpointHit&) { ++reports; }, kUnproved);
  ASSERT_TRUE(guard) << advice_on(guard.error());
  hit_the_only_watch();
  EXPECT_EQ(reports, 1);
  {
    const auto scope = guard->open();
    hit_the_only_watch();
    {
      const auto inner = guard->open();
      hit_the_only_watch();
    }
    hit_the_only_watch();
  }
  EXPECT_EQ(reports, 1);
  hit_the_only_watch();
  EXPECT_EQ(reports, 2);
}

TEST(Guard, AScopeIsOfItsThreadAndItsGuard) {
  int object = 0;
  int other = 0;
  std::atomic<int> reports{0};
  const auto guard = Guard::create(object, [&](const WatchpointHit&) { ++reports; }, kUnproved);
  const auto another = Guard::create(other, [](const WatchpointHit&) {}, kUnproved);
  ASSERT_TRUE(guard && another);
  {
    const auto scope = guard->open();
    std::thread(hit_the_only_watch).join();
    EXPECT_EQ(reports, 1);
  }
  const auto scope = another->open();
  hit_the_only_watch();
  EXPECT_EQ(reports, 2);
}

// What the contract says of threads that block SIGTRAP: the scope is asked for when the trap comes.
TEST(Guard, AWriteWithSigtrapBlockedIsAllowedWhereItIsUnblocked) {
  int object = 0;
  int reports = 0;
  bool is_late = false;
  const auto guard = Guard::create(
      object,
      [&](const WatchpointHit& hit) {
        ++reports;
        is_late = hit.is_late;
      },
      kUnproved);
  ASSERT_TRUE(guard) << advice_on(guard.error());
  sigset_t traps;
  ::sigemptyset(&traps);
  ::sigaddset(&traps, SIGTRAP);
  const auto write_blocked = [&] {
    ::pthread_sigmask(SIG_BLOCK, &traps, nullptr);
    raise_perf_trap(watch_table().number_of(0, 0), true);
  };
  const auto unblock = [&] { ::pthread_sigmask(SIG_UNBLOCK, &traps, nullptr); };
  {
    const auto scope = guard->open();
    write_blocked();
    unblock();
  }
  EXPECT_EQ(reports, 0);
  {
    const auto scope = guard->open();
    write_blocked();
  }
  unblock();
  EXPECT_EQ(reports, 1);
  EXPECT_TRUE(is_late);
}

TEST(Guard, ScopesMayEndInAnyOrder) {
  int object = 0;
  int reports = 0;
  const auto guard = Guard::create(object, [&](const WatchpointHit&) { ++reports; }, kUnproved);
  ASSERT_TRUE(guard);
  const auto made = [&] { return new Guard::Scope(guard->open()); };
  std::unique_ptr<Guard::Scope> first(made());
  std::unique_ptr<Guard::Scope> second(made());
  first.reset();
  hit_the_only_watch();
  EXPECT_EQ(reports, 0);
  second.reset();
  hit_the_only_watch();
  EXPECT_EQ(reports, 1);
}

TEST(Guard, WithoutAHandlerTheWriteIsReportedAndTheProcessAborts) {
  const Ended ended = run_child([] {
    static std::uint32_t object = 41;
    const auto guard = Guard::create(object, {}, kUnproved);
    if (!guard) ::_exit(1);
    *const_cast<volatile std::uint32_t*>(&object) = 42;  // where registers fire, this is the hit
    hit_the_only_watch();
  });
  EXPECT_EQ(ended.status, kAborted);
  EXPECT_THAT(ended.said, HasSubstr("this object is frozen"));
  EXPECT_THAT(ended.said, HasSubstr("4 bytes at 0x"));
  EXPECT_THAT(ended.said, HasSubstr("0x29 -> 0x2a"));
  EXPECT_THAT(ended.said, HasSubstr("by thread "));
  EXPECT_THAT(ended.said, HasSubstr("    from "));
  EXPECT_THAT(ended.said, HasSubstr("+0x"));
  EXPECT_THAT(ended.said, HasSubstr("addr2line"));
}

TEST(SignalText, WritesNumbersAndBytes) {
  SignalText text;
  text << "a ";
  text.decimal(0) << " ";
  text.decimal(~std::uint64_t{0}) << " ";
  text.hex(0x1234abcd) << " ";
  const std::array<std::byte, 9> bytes{std::byte{1}, std::byte{0xfe}};
  text.bytes(std::span(bytes).first(2)) << " ";
  text.bytes(bytes) << " ";
  text.bytes({});
  EXPECT_EQ(text.text(), "a 0 18446744073709551615 0x1234abcd 0xfe01 01fe00000000000000 0x0");
}

TEST(SignalText, LeavesOutWhatDoesNotFit) {
  SignalText text;
  for (int i = 0; i < 1000; ++i) text << "0123456789";
  EXPECT_EQ(text.text().size(), 512U);
}

// --- real writes ---

struct Config {
  int mode = 1;
  int level = 2;
};

TEST(GuardHits, WritesOutsideAScopeAreReportedFromAnyThread) {
  static Config config;
  std::atomic<int> reports{0};
  const auto guard = Guard::create(config, [&](const WatchpointHit&) { ++reports; });
  ASSERT_TRUE(guard) << advice_on(guard.error());
  auto& level = *const_cast<volatile int*>(&config.level);
  level = 3;
  EXPECT_EQ(reports, 1);
  {
    const auto scope = guard->open();
    level = 4;
    EXPECT_EQ(reports, 1);
    std::thread([&] { level = 5; }).join();
    EXPECT_EQ(reports, 2);
  }
  level = 6;
  EXPECT_EQ(reports, 3);
}

TEST(GuardHits, TheHandlerMayPutTheOldValueBack) {
  static volatile int frozen = 7;
  const auto guard = Guard::create(
      frozen, [](const WatchpointHit& hit) { frozen = hit.old_as<int>().value_or(-1); });
  ASSERT_TRUE(guard) << advice_on(guard.error());
  for (const int stray : {8, 9, 10}) {
    frozen = stray;
    EXPECT_EQ(frozen, 7) << "after " << stray;
  }
}

}  // namespace
}  // namespace trapline::linux_port
