#include "symbols/range_map.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>

namespace trapline::symbols {
namespace {

TEST(RangeMap, EmptyMapContainsNothing) {
  RangeMap<int> map;
  map.finish();
  EXPECT_EQ(map.find(0), nullptr);
}

TEST(RangeMap, EndIsOutsideAndStartInside) {
  RangeMap<int> map;
  map.add(10, 20, 1);
  map.finish();
  EXPECT_EQ(map.find(9), nullptr);
  ASSERT_NE(map.find(10), nullptr);
  ASSERT_NE(map.find(19), nullptr);
  EXPECT_EQ(map.find(20), nullptr);
}

TEST(RangeMap, OuterRangeIsFoundBehindAnInnerOne) {
  RangeMap<int> map;
  map.add(0, 100, 1);
  map.add(10, 20, 2);
  map.add(30, 40, 3);
  map.finish();
  EXPECT_EQ(map.find(15)->value, 2);
  EXPECT_EQ(map.find(50)->value, 1);
}

TEST(RangeMap, OfEqualRangesTheLastAddedWins) {
  RangeMap<int> map;
  map.add(0, 4, 1);
  map.add(0, 4, 2);
  map.finish();
  EXPECT_EQ(map.find(0)->value, 2);
}

TEST(RangeMap, AgreesWithASearchOfAllRanges) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    RangeMap<std::uint64_t> map;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> all;
    for (int count = 0; count < 12; ++count) {
      const std::uint64_t start = random() % 60;
      const std::uint64_t end = random() % 64;
      map.add(start, end, start);
      all.emplace_back(start, end);
    }
    map.finish();
    for (std::uint64_t address = 0; address < 64; ++address) {
      std::optional<std::pair<std::uint64_t, std::uint64_t>> best;
      for (const auto& [start, end] : all) {
        if (address < start || address >= end) continue;
        if (!best || start > best->first || (start == best->first && end < best->second))
          best = {start, end};
      }
      const auto* found = map.find(address);
      ASSERT_EQ(found != nullptr, best.has_value());
      if (best) {
        EXPECT_EQ(found->start, best->first);
        EXPECT_EQ(found->end, best->second);
      }
    }
  }
}

}  // namespace
}  // namespace trapline::symbols
