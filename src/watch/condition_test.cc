#include "trapline/watch/condition.h"

#include <gtest/gtest.h>

#include <string>

namespace trapline {
namespace {

constexpr ValueShape kSignedInt{ByteCount{4}, true};
constexpr ValueShape kUnsignedInt{ByteCount{4}, false};
constexpr ValueShape kSignedLong{ByteCount{8}, true};

Hit hit_with(std::uint64_t old_bits, std::uint64_t new_bits) {
  Hit hit;
  hit.pid = ProcessId{10};
  hit.tid = ThreadId{42};
  hit.cpu = CpuId{1};
  hit.old_value = {old_bits, Certainty::exact};
  hit.new_value = {new_bits, Certainty::exact};
  return hit;
}

Verdict judge(const std::string& text, const Hit& hit, ValueShape shape = kSignedInt) {
  const auto condition = parse_condition(text);
  EXPECT_TRUE(condition.has_value()) << text;
  return condition ? evaluate(*condition, hit, shape) : Verdict::undecided;
}

TEST(Condition, ChangedMeansOldAndNewDiffer) {
  EXPECT_EQ(judge("changed", hit_with(1, 2)), Verdict::holds);
  EXPECT_EQ(judge("changed", hit_with(2, 2)), Verdict::fails);
  EXPECT_EQ(judge(" old != new ", hit_with(2, 2)), Verdict::fails);
}

TEST(Condition, EveryComparisonHoldsWhereArithmeticSays) {
  struct Row {
    const char* sign;
    bool below, same, above;
  };
  for (const Row& row :
       {Row{"==", false, true, false}, Row{"!=", true, false, true}, Row{"<", true, false, false},
        Row{"<=", true, true, false}, Row{">", false, false, true}, Row{">=", false, true, true}}) {
    const std::string text = std::string("new") + row.sign + "7";
    EXPECT_EQ(judge(text, hit_with(0, 6)) == Verdict::holds, row.below) << text;
    EXPECT_EQ(judge(text, hit_with(0, 7)) == Verdict::holds, row.same) << text;
    EXPECT_EQ(judge(text, hit_with(0, 8)) == Verdict::holds, row.above) << text;
  }
}

TEST(Condition, SignFollowsTheWatchedType) {
  const Hit minus_one = hit_with(0, 0xffffffff);
  EXPECT_EQ(judge("new == -1", minus_one, kSignedInt), Verdict::holds);
  EXPECT_EQ(judge("new < 0", minus_one, kSignedInt), Verdict::holds);
  EXPECT_EQ(judge("new < 0", minus_one, kUnsignedInt), Verdict::fails);
  EXPECT_EQ(judge("new == 0xffffffff", minus_one, kUnsignedInt), Verdict::holds);
  EXPECT_EQ(judge("new > -1", minus_one, kUnsignedInt), Verdict::holds)
      << "no unsigned number is negative";
  EXPECT_EQ(judge("new == -1", hit_with(0, ~std::uint64_t{0}), kSignedLong), Verdict::holds);
}

TEST(Condition, BytesBeyondTheLengthDoNotCount) {
  EXPECT_EQ(judge("new == 5", hit_with(0, 0xdead'beef'0000'0005)), Verdict::holds);
}

TEST(Condition, LargestUnsignedNumberIsNotNegative) {
  const ValueShape unsigned_long{ByteCount{8}, false};
  EXPECT_EQ(judge("new == 18446744073709551615", hit_with(0, ~std::uint64_t{0}), unsigned_long),
            Verdict::holds);
  EXPECT_EQ(judge("new == -1", hit_with(0, ~std::uint64_t{0}), unsigned_long), Verdict::fails);
}

TEST(Condition, IdentitiesAreCompared) {
  EXPECT_EQ(judge("tid==42", hit_with(0, 0)), Verdict::holds);
  EXPECT_EQ(judge("pid==10", hit_with(0, 0)), Verdict::holds);
  EXPECT_EQ(judge("cpu!=1", hit_with(0, 0)), Verdict::fails);
  EXPECT_EQ(judge("1==cpu", hit_with(0, 0)), Verdict::holds);
}

TEST(Condition, UnknownValueIsUndecidedAndOtherFieldsAreNot) {
  Hit hit = hit_with(0, 0);
  hit.old_value = {};
  EXPECT_EQ(judge("changed", hit), Verdict::undecided);
  EXPECT_EQ(judge("new==0", hit), Verdict::holds);
  EXPECT_EQ(judge("tid==1", hit), Verdict::fails);
}

TEST(Condition, NeedsValuesTellsWhetherOldOrNewIsNamed) {
  EXPECT_TRUE(parse_condition("changed")->needs_values());
  EXPECT_TRUE(parse_condition("0==old")->needs_values());
  EXPECT_FALSE(parse_condition("tid==1")->needs_values());
}

TEST(Condition, ErrorPointsAtTheFirstWrongCharacter) {
  struct Row {
    const char* text;
    std::size_t position;
  };
  for (const Row& row :
       {Row{"", 0}, Row{"new", 3}, Row{"new =< 3", 4}, Row{"new == ", 7}, Row{"nwe==1", 0},
        Row{"new==1 2", 7}, Row{"changed 1", 8}, Row{"new==0x", 7}, Row{"new==--1", 6},
        Row{"new==99999999999999999999", 24}, Row{"new==1x", 6}, Row{"changedx==1", 0}}) {
    const auto condition = parse_condition(row.text);
    ASSERT_FALSE(condition.has_value()) << row.text;
    EXPECT_EQ(condition.error().position, row.position)
        << row.text << ": " << condition.error().reason;
  }
}

TEST(Condition, MostNegativeNumberFits) {
  EXPECT_EQ(judge("new == -9223372036854775808", hit_with(0, std::uint64_t{1} << 63), kSignedLong),
            Verdict::holds);
  EXPECT_FALSE(parse_condition("new == -9223372036854775809").has_value());
}

}  // namespace
}  // namespace trapline
