#include "ports/linux/perf_twin_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace trapline::linux_port {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Trap = PerfTwinFilter::Trap;

constexpr ThreadId kLate{20};
constexpr ThreadId kOther{30};

// Places 0 and 1. The creator's events are 1 and 2, the late thread's own are 3 and 4.
PerfTwinFilter make_filter() {
  PerfTwinFilter filter;
  filter.add(1, 0, false);
  filter.add(2, 1, false);
  filter.add(3, 0, true);
  filter.add(4, 1, true);
  return filter;
}

TEST(PerfTwinFilter, ASampleBesideTheInheritedOneIsADouble) {
  PerfTwinFilter filter = make_filter();
  const std::array neighbours = {Trap{1, kLate}};
  EXPECT_TRUE(filter.is_double({3, kLate}, neighbours, true));
  EXPECT_TRUE(filter.is_redundant(3));
  EXPECT_THAT(filter.take_redundant(), ElementsAre(3));
  EXPECT_THAT(filter.take_redundant(), IsEmpty());
  EXPECT_TRUE(filter.is_double({3, kLate}, {}, true)) << "all later ones, too";
  EXPECT_FALSE(filter.is_redundant(4)) << "the other place is another question";
}

TEST(PerfTwinFilter, ASampleAloneProvesThatItsEventIsNeeded) {
  PerfTwinFilter filter = make_filter();
  EXPECT_FALSE(filter.is_double({3, kLate}, {}, true));
  EXPECT_FALSE(filter.is_suspect(3));
  EXPECT_FALSE(filter.is_redundant(3));
  EXPECT_TRUE(filter.has_suspects());
  EXPECT_FALSE(filter.is_double({4, kLate}, {}, true));
  EXPECT_FALSE(filter.has_suspects());
}

TEST(PerfTwinFilter, NothingIsDecidedWhereRecordsMayBeMissing) {
  PerfTwinFilter filter = make_filter();
  EXPECT_FALSE(filter.is_double({3, kLate}, {}, false));
  EXPECT_TRUE(filter.is_suspect(3));
  const std::array neighbours = {Trap{1, kLate}};
  EXPECT_TRUE(filter.is_double({3, kLate}, neighbours, false)) << "a pair decides all the same";
}

TEST(PerfTwinFilter, OtherThreadsOtherSlotsAndYoungerEventsProveNothing) {
  PerfTwinFilter filter = make_filter();
  filter.add(5, 0, true);
  const std::array neighbours = {Trap{1, kOther}, Trap{2, kLate}, Trap{5, kLate}, Trap{3, kLate},
                                 Trap{99, kLate}};
  EXPECT_FALSE(filter.is_double({3, kLate}, neighbours, false));
  EXPECT_TRUE(filter.is_suspect(3));
  const std::array older = {Trap{3, kLate}};
  EXPECT_TRUE(filter.is_double({5, kLate}, older, true)) << "the younger of two late ones goes";
}

TEST(PerfTwinFilter, AChildThatInheritedBothProvesItToo) {
  PerfTwinFilter filter = make_filter();
  const std::array neighbours = {Trap{1, kOther}};
  EXPECT_TRUE(filter.is_double({3, kOther}, neighbours, true));
  EXPECT_TRUE(filter.is_redundant(3));
}

TEST(PerfTwinFilter, EventsThatWereNeverSuspectAreNeverDoubles) {
  PerfTwinFilter filter = make_filter();
  const std::array neighbours = {Trap{3, kLate}};
  EXPECT_FALSE(filter.is_double({1, kLate}, neighbours, true));
  EXPECT_FALSE(filter.is_double({99, kLate}, neighbours, true));
  EXPECT_FALSE(filter.is_redundant(99));
}

}  // namespace
}  // namespace trapline::linux_port
