#include "trapline/watch/condition.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <string>

namespace trapline {
namespace {

constexpr ValueShape kSignedInt{ByteCount{4}, true};
constexpr ValueShape kUnsignedInt{ByteCount{4}, false};
constexpr ValueShape kSignedLong{ByteCount{8}, true};
constexpr ValueShape kUnsignedLong{ByteCount{8}, false};
constexpr ValueShape kFloat{ByteCount{4}, false, true};
constexpr ValueShape kDouble{ByteCount{8}, false, true};

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
  if (!condition) return Verdict::undecided;
  const auto typed = type_condition(*condition, shape);
  EXPECT_TRUE(typed.has_value()) << text << ": " << (typed ? "" : typed.error().reason);
  return typed ? evaluate(*typed, hit) : Verdict::undecided;
}

Hit hit_with_doubles(double old_number, double new_number) {
  return hit_with(std::bit_cast<std::uint64_t>(old_number),
                  std::bit_cast<std::uint64_t>(new_number));
}
Hit hit_with_float(float number) {
  return hit_with(0, std::bit_cast<std::uint32_t>(number));
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
  EXPECT_EQ(judge("new > 0", minus_one, kUnsignedInt), Verdict::holds);
  EXPECT_EQ(judge("new == 0xffffffff", minus_one, kUnsignedInt), Verdict::holds);
  EXPECT_EQ(judge("new == -1", hit_with(0, ~std::uint64_t{0}), kSignedLong), Verdict::holds);
}

TEST(Condition, BytesBeyondTheLengthDoNotCount) {
  EXPECT_EQ(judge("new == 5", hit_with(0, 0xdead'beef'0000'0005)), Verdict::holds);
}

TEST(Condition, LargestUnsignedNumberIsNotNegative) {
  EXPECT_EQ(judge("new == 18446744073709551615", hit_with(0, ~std::uint64_t{0}), kUnsignedLong),
            Verdict::holds);
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

TEST(Condition, IdentityThatIsNotKnownIsUndecided) {
  Hit hit = hit_with(0, 0);
  hit.pid = ProcessId{-1};
  hit.tid = ThreadId{-1};
  EXPECT_EQ(judge("pid != 10", hit), Verdict::undecided);
  EXPECT_EQ(judge("tid & 1 == 1", hit), Verdict::undecided);
}

TEST(Condition, MaskAloneMeansThatOneOfItsBitsIsSet) {
  EXPECT_EQ(judge("new & 0x80", hit_with(0, 0x180)), Verdict::holds);
  EXPECT_EQ(judge("new & 0x81", hit_with(0, 1)), Verdict::holds);
  EXPECT_EQ(judge("new & 0x80", hit_with(0, 0x7f)), Verdict::fails);
  EXPECT_EQ(judge("0x80 & new", hit_with(0, 0x80)), Verdict::holds);
  EXPECT_EQ(judge("cpu & 1", hit_with(0, 0)), Verdict::holds);
}

TEST(Condition, MaskBindsTighterThanTheComparison) {
  EXPECT_EQ(judge("new & 0xff == 3", hit_with(0, 0x1203)), Verdict::holds);
  EXPECT_EQ(judge("(new & 0xff) == 3", hit_with(0, 0x1203)), Verdict::holds);
  EXPECT_EQ(judge("3 == new & 0xff", hit_with(0, 0x1203)), Verdict::holds);
  EXPECT_EQ(judge("new & 0xff == 3", hit_with(0, 0x1213)), Verdict::fails);
  EXPECT_EQ(judge("old & 0x80 != new & 0x80", hit_with(0x80, 0)), Verdict::holds);
  EXPECT_EQ(judge("old & 0x80 != new & 0x80", hit_with(0x80, 0x81)), Verdict::fails);
}

TEST(Condition, MaskedBitsHaveNoSign) {
  EXPECT_EQ(judge("new & 0x80000000 > 0", hit_with(0, 0x8000'0000), kSignedInt), Verdict::holds);
  EXPECT_EQ(judge("new & 0xff == 255", hit_with(0, 0xffff'ffff), kSignedInt), Verdict::holds);
}

TEST(Condition, ThreadNamesAreComparedWhole) {
  Hit hit = hit_with(0, 0);
  hit.comm = {'w', 'o', 'r', 'k', '\0', 'x'};
  EXPECT_EQ(judge("comm == work", hit), Verdict::holds);
  EXPECT_EQ(judge("comm == 'work'", hit), Verdict::holds);
  EXPECT_EQ(judge("comm == worker", hit), Verdict::fails);
  EXPECT_EQ(judge("comm == wor", hit), Verdict::fails);
  EXPECT_EQ(judge("comm != work", hit), Verdict::fails);
  EXPECT_EQ(judge("comm != worker", hit), Verdict::holds);
  hit.comm = {};
  EXPECT_EQ(judge("comm != work", hit), Verdict::undecided);
}

TEST(Condition, FloatingPointNumbersAreComparedAsSuch) {
  EXPECT_EQ(judge("new > 1.5", hit_with_doubles(0, 2.5), kDouble), Verdict::holds);
  EXPECT_EQ(judge("new > 1.5", hit_with_doubles(0, 1.5), kDouble), Verdict::fails);
  EXPECT_EQ(judge("new < -1", hit_with_doubles(0, -1.25), kDouble), Verdict::holds);
  EXPECT_EQ(judge("new < -1.5", hit_with_doubles(0, -1.25), kDouble), Verdict::fails);
  EXPECT_EQ(judge("new < old", hit_with_doubles(-3, -4), kDouble), Verdict::holds);
  EXPECT_EQ(judge("new < old", hit_with_doubles(3, -4), kDouble), Verdict::holds);
  EXPECT_EQ(judge("new == 1e300", hit_with_doubles(0, 1e300), kDouble), Verdict::holds);
  EXPECT_EQ(judge("new > 1e300", hit_with_doubles(0, INFINITY), kDouble), Verdict::holds);
  EXPECT_EQ(judge("new == 0", hit_with_doubles(0, -0.0), kDouble), Verdict::holds);
  EXPECT_EQ(judge("new == -0", hit_with_doubles(0, 0.0), kDouble), Verdict::holds);
}

TEST(Condition, NumberIsRoundedToTheWatchedType) {
  EXPECT_EQ(judge("new == 0.1", hit_with_float(0.1F), kFloat), Verdict::holds);
  EXPECT_EQ(judge("new > 0.1", hit_with_float(0.1F), kFloat), Verdict::fails);
  EXPECT_EQ(judge("new == 0.1", hit_with_doubles(0, 0.1), kDouble), Verdict::holds);
  EXPECT_EQ(judge("new == 0.1", hit_with_doubles(0, 0.1F), kDouble), Verdict::fails);
}

TEST(Condition, NanIsUnequalToAll) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(judge("new != new", hit_with_doubles(0, nan), kDouble), Verdict::holds);
  EXPECT_EQ(judge("new != new", hit_with_doubles(0, 1), kDouble), Verdict::fails);
  for (const char* text : {"new == 1", "new < 1", "new >= 1", "old <= new"})
    EXPECT_EQ(judge(text, hit_with_doubles(1, -nan), kDouble), Verdict::fails) << text;
}

TEST(Condition, ChangedLooksAtTheBytesOfFloatingPointNumbers) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(judge("changed", hit_with_doubles(nan, nan), kDouble), Verdict::fails);
  EXPECT_EQ(judge("changed", hit_with_doubles(0.0, -0.0), kDouble), Verdict::holds);
  EXPECT_EQ(judge("old != new", hit_with_doubles(0.0, -0.0), kDouble), Verdict::fails);
}

TEST(Condition, MostNegativeNumberFits) {
  EXPECT_EQ(judge("new == -9223372036854775808", hit_with(0, std::uint64_t{1} << 63), kSignedLong),
            Verdict::holds);
}

}  // namespace
}  // namespace trapline
