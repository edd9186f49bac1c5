#include "tools/trapline/watch/cpu_gaps.h"

#include <gtest/gtest.h>

namespace trapline::command {
namespace {

using linux_port::CpuEvent;

constexpr CpuId kCpu{1};

CpuEvent offline(std::uint64_t time, CpuId cpu = kCpu) {
  return {.cpu = cpu, .kind = CpuEvent::Kind::offline, .time = Nanoseconds{time}};
}
CpuEvent online(std::uint64_t time, std::uint64_t gap, CpuId cpu = kCpu) {
  return {.cpu = cpu,
          .kind = CpuEvent::Kind::online,
          .time = Nanoseconds{time},
          .gap = Nanoseconds{gap},
          .reinstall = Nanoseconds{1}};
}
CpuEvent unwatched(std::uint64_t time, std::uint64_t gap, CpuId cpu = kCpu) {
  CpuEvent event = online(time, gap, cpu);
  event.watched = false;
  return event;
}

CpuEvent still_online(CpuEvent event) {
  event.cpu_was_offline = false;
  return event;
}

TEST(CpuGaps, CpuWhoseWatchDiedIsNoChange) {
  CpuGaps gaps;
  EXPECT_TRUE(gaps.add(still_online(online(200, 30))));
  EXPECT_TRUE(gaps.add(still_online(unwatched(300, 20))));
  EXPECT_TRUE(gaps.add(still_online(online(400, 120))));
  EXPECT_EQ(gaps.changes(), 0U);
  EXPECT_EQ(gaps.total(Nanoseconds{1000}), Nanoseconds{150});
}

// Whatever the collector tells of the stretch with the event that ends it: it tells nothing.
TEST(CpuGaps, StretchOfAnUnwatchedCpuIsCountedWhenItGoesOffline) {
  CpuGaps gaps;
  gaps.add(offline(100));
  gaps.add(unwatched(200, 40));
  gaps.add(offline(300));
  gaps.add(online(400, 5));
  EXPECT_EQ(gaps.total(Nanoseconds{1000}), Nanoseconds{145});
  EXPECT_EQ(gaps.changes(), 4U);
}

TEST(CpuGaps, OfAllCpusAreAddedUp) {
  CpuGaps gaps;
  EXPECT_FALSE(gaps.add(offline(100)));
  EXPECT_FALSE(gaps.add(offline(110, CpuId{2})));
  EXPECT_TRUE(gaps.add(online(200, 7)));
  EXPECT_TRUE(gaps.add(online(210, 5, CpuId{2})));
  EXPECT_EQ(gaps.total(Nanoseconds{1000}), Nanoseconds{12});
  EXPECT_EQ(gaps.changes(), 4U);
  EXPECT_FALSE(gaps.is_open());
}

TEST(CpuGaps, WhereNothingCanHaveBeenMissedNoneIsTold) {
  CpuGaps gaps;
  EXPECT_FALSE(gaps.add(online(200, 0)));
  EXPECT_EQ(gaps.total(Nanoseconds{1000}), Nanoseconds{});
}

TEST(CpuGaps, CpuThatCannotBeWatchedLeavesAGapUpToNow) {
  CpuGaps gaps;
  EXPECT_TRUE(gaps.add(unwatched(200, 7)));
  EXPECT_TRUE(gaps.is_open());
  EXPECT_EQ(gaps.total(Nanoseconds{200}), Nanoseconds{7});
  EXPECT_EQ(gaps.total(Nanoseconds{300}), Nanoseconds{107});
}

TEST(CpuGaps, OpenGapEndsWhenTheCpuGoesOffline) {
  CpuGaps gaps;
  gaps.add(unwatched(200, 0));
  EXPECT_TRUE(gaps.add(offline(250)));
  EXPECT_FALSE(gaps.is_open());
  EXPECT_EQ(gaps.total(Nanoseconds{1000}), Nanoseconds{50});
}

TEST(CpuGaps, AnotherAttemptIsNoChangeAndKeepsTheBeginning) {
  CpuGaps gaps;
  gaps.add(unwatched(200, 10));
  EXPECT_TRUE(gaps.add(still_online(unwatched(300, 0))));
  EXPECT_EQ(gaps.total(Nanoseconds{300}), Nanoseconds{110});
  EXPECT_TRUE(gaps.add(still_online(online(400, 210))));
  EXPECT_EQ(gaps.total(Nanoseconds{1000}), Nanoseconds{210});
  EXPECT_EQ(gaps.changes(), 1U);
}

TEST(CpuGaps, LongerOfWhatIsToldAndWhatIsKnownIsTheBound) {
  CpuGaps told_longer;
  told_longer.add(unwatched(200, 10));
  told_longer.add(online(300, 150));
  EXPECT_EQ(told_longer.total(Nanoseconds{1000}), Nanoseconds{150});
  CpuGaps known_longer;
  known_longer.add(unwatched(200, 10));
  known_longer.add(online(300, 1));
  EXPECT_EQ(known_longer.total(Nanoseconds{1000}), Nanoseconds{110});
}

}  // namespace
}  // namespace trapline::command
