#include "ports/linux/perf_loss.h"

#include <gtest/gtest.h>

namespace trapline::linux_port {
namespace {

constexpr Nanoseconds kNow{1'000'000'000};
constexpr Nanoseconds kLater{2'000'000'000};

TEST(PerfLoss, WhatWasCountedAndNotDeliveredIsLostOnce) {
  PerfLoss loss;
  for (int i = 0; i < 7; ++i) loss.delivered();
  EXPECT_EQ(loss.settle_exactly(10), 3U);
  EXPECT_EQ(loss.settle_exactly(10), 0U);
  EXPECT_EQ(loss.settle_exactly(12), 2U);
}

TEST(PerfLoss, NeverGoesBelowZero) {
  PerfLoss loss;
  for (int i = 0; i < 7; ++i) loss.delivered();
  EXPECT_EQ(loss.settle_exactly(5), 0U);
  EXPECT_EQ(loss.settle_exactly(8), 1U);
}

TEST(PerfLoss, CountsAreWantedOnlyAfterALossAndNotTooOften) {
  PerfLoss loss;
  EXPECT_FALSE(loss.wants_count(kNow));
  loss.suspect();
  EXPECT_TRUE(loss.wants_count(kNow));
  loss.counted(5, kNow);
  loss.suspect();
  EXPECT_FALSE(loss.wants_count(kLater)) << "the first count is not used up";
  EXPECT_EQ(loss.settle(kNow), 5U);
  EXPECT_FALSE(loss.wants_count(Nanoseconds{kNow.value + 1}));
  EXPECT_TRUE(loss.wants_count(kLater));
}

TEST(PerfLoss, ACountWaitsUntilAllBeforeItIsDelivered) {
  PerfLoss loss;
  loss.suspect();
  loss.counted(10, kNow);
  EXPECT_EQ(loss.settle(Nanoseconds{kNow.value - 1}), 0U);
  for (int i = 0; i < 8; ++i) loss.delivered();
  EXPECT_EQ(loss.settle(kNow), 2U);
  EXPECT_EQ(loss.settle(kLater), 0U);
}

}  // namespace
}  // namespace trapline::linux_port
