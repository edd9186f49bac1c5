#include "ports/linux/perf_attach.h"

#include <gtest/gtest.h>

#include "ports/linux/attach_pace.h"

namespace trapline::linux_port {
namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;

Nanoseconds at(std::uint64_t milliseconds) {
  return Nanoseconds{milliseconds * kMillisecond};
}

TEST(PerfAncestry, AThreadCreatedLongAfterItsCreatorWasWatchedHasInherited) {
  PerfAncestry ancestry;
  ancestry.watched_since(ThreadId{1}, at(1000));
  ancestry.created(ThreadId{2}, ThreadId{1}, at(1200));
  EXPECT_TRUE(ancestry.has_inherited(ThreadId{2}));
}

TEST(PerfAncestry, OneCreatedAroundThatMomentMayNotHave) {
  PerfAncestry ancestry;
  ancestry.watched_since(ThreadId{1}, at(1000));
  ancestry.created(ThreadId{2}, ThreadId{1}, at(1001));
  EXPECT_FALSE(ancestry.has_inherited(ThreadId{2}));
  EXPECT_FALSE(ancestry.has_inherited(ThreadId{3})) << "never seen at all";
}

TEST(PerfAncestry, WhatAnHeirCreatesInheritsAtOnce) {
  PerfAncestry ancestry;
  ancestry.watched_since(ThreadId{1}, at(1000));
  ancestry.created(ThreadId{2}, ThreadId{1}, at(1200));
  ancestry.created(ThreadId{3}, ThreadId{2}, at(1201));
  ancestry.created(ThreadId{4}, ThreadId{3}, at(1202));
  EXPECT_TRUE(ancestry.has_inherited(ThreadId{4}));
}

TEST(PerfAncestry, ACircleOfReusedNumbersEnds) {
  PerfAncestry ancestry;
  ancestry.created(ThreadId{2}, ThreadId{3}, at(1));
  ancestry.created(ThreadId{3}, ThreadId{2}, at(2));
  EXPECT_FALSE(ancestry.has_inherited(ThreadId{2}));
}

constexpr Nanoseconds kAtOnce{0};

TEST(AttachPace, LooksAgainAMomentAfterNobodyWasNew) {
  AttachPace pace;
  EXPECT_EQ(pace.after_list(3), kAtOnce);
  EXPECT_EQ(pace.after_list(0), AttachPace::kSettlesWhereNobodyStarts);
  EXPECT_EQ(pace.after_list(0), std::nullopt);
}

TEST(AttachPace, WaitsLongerButOnceWhereThreadsStart) {
  AttachPace pace;
  EXPECT_EQ(pace.after_list(3), kAtOnce);
  EXPECT_EQ(pace.after_list(1), kAtOnce);
  EXPECT_EQ(pace.after_list(0), AttachPace::kSettlesWhereSomebodyStarts);
  EXPECT_EQ(pace.after_list(1), kAtOnce);
  EXPECT_EQ(pace.after_list(0), std::nullopt);
}

}  // namespace
}  // namespace trapline::linux_port
