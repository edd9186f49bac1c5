#include "bench/peers/spread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trapline::peers {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Spread, MedianOfAnOddCountIsTheValueInTheMiddle) {
  EXPECT_EQ(spread_of({9, 1, 4}), (Spread{1, 4, 9}));
}

TEST(Spread, MedianOfAnEvenCountLiesBetweenTheTwoInTheMiddle) {
  EXPECT_EQ(spread_of({8, 1, 4, 2}), (Spread{1, 3, 8}));
}

TEST(Spread, OneValueIsAllThree) {
  EXPECT_EQ(spread_of({7}), (Spread{7, 7, 7}));
}

TEST(Spread, NothingHasNone) {
  EXPECT_EQ(spread_of({}), std::nullopt);
}

TEST(Slope, StartOfTheCommandDropsOut) {
  const Slope slope{2'000, 82'000, {500'000'000 + 2'000 * 10}, {500'000'000 + 82'000 * 10}};
  EXPECT_DOUBLE_EQ(slope.nanoseconds_each(), 10);
}

TEST(Slope, NoiseCanMakeItNegative) {
  EXPECT_DOUBLE_EQ((Slope{10, 20, {300}, {100}}.nanoseconds_each()), -20);
}

TEST(Ratios, AreToTheBaseOfTheSameRound) {
  EXPECT_THAT(ratios({20, 30, 40}, {10, 10, 20}), ElementsAre(2, 3, 2));
}

TEST(Ratios, RoundWithoutAUsableBaseIsLeftOut) {
  EXPECT_THAT(ratios({20, 30, 40}, {10, 0, -5}), ElementsAre(2));
  EXPECT_THAT(ratios({20, 30}, {10}), ElementsAre(2));
  EXPECT_THAT(ratios({20, 30}, {}), IsEmpty());
}

}  // namespace
}  // namespace trapline::peers
