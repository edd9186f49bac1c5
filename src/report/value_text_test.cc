#include "report/value_text.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

namespace trapline::report {
namespace {

using symbols::ValueKind;
using symbols::ValueType;

constexpr float kNanFloat = std::numeric_limits<float>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

ValueType type_of(ValueKind kind, std::uint64_t length, bool is_signed = false) {
  return {kind, ByteCount{length}, "", is_signed};
}

MemoryValue exactly(std::uint64_t bits) {
  return {bits, Certainty::exact};
}
MemoryValue exactly(float number) {
  return exactly(std::uint64_t{std::bit_cast<std::uint32_t>(number)});
}
MemoryValue exactly(double number) {
  return exactly(std::bit_cast<std::uint64_t>(number));
}

std::string text(const MemoryValue& value, const ValueType& type, std::uint64_t length) {
  fmt::memory_buffer buffer;
  append_text(buffer, value, type, ByteCount{length});
  return fmt::to_string(buffer);
}
std::string text(const MemoryValue& value, const ValueType& type) {
  return text(value, type, type.length.value);
}

std::string json(const MemoryValue& value, const ValueType& type, std::uint64_t length) {
  fmt::memory_buffer buffer;
  append_json(buffer, value, type, ByteCount{length});
  std::string made = fmt::to_string(buffer);
  EXPECT_TRUE(nlohmann::json::accept(made)) << made;
  return made;
}
std::string json(const MemoryValue& value, const ValueType& type) {
  return json(value, type, type.length.value);
}

bool less(const MemoryValue& a, const MemoryValue& b, const ValueType& type) {
  return is_less(a, b, type, type.length);
}

TEST(ValueText, SignedNumberIsExtendedFromItsOwnWidth) {
  for (const std::uint64_t length : {1U, 2U, 4U, 8U}) {
    const ValueType type = type_of(ValueKind::signed_integer, length, true);
    const MemoryValue minus_two =
        exactly(~std::uint64_t{1} & (~std::uint64_t{0} >> (64 - 8 * length)));
    EXPECT_EQ(text(minus_two, type), "-2");
    EXPECT_EQ(json(minus_two, type), "-2");
  }
}

TEST(ValueText, Unsigned64BitNumberIsExact) {
  const ValueType type = type_of(ValueKind::unsigned_integer, 8);
  EXPECT_EQ(text(exactly(~std::uint64_t{0}), type), "18446744073709551615");
  EXPECT_EQ(json(exactly(~std::uint64_t{0}), type), "18446744073709551615");
}

TEST(ValueText, BytesBeyondTheLengthAreNotLookedAt) {
  EXPECT_EQ(
      text(exactly(std::uint64_t{0xffff'ffff'0000'0005}), type_of(ValueKind::unsigned_integer, 2)),
      "5");
  EXPECT_EQ(text(exactly(std::uint64_t{0xffff'ff05}), type_of(ValueKind::signed_integer, 1, true)),
            "5");
}

TEST(ValueText, CorruptBoolShowsItsNumber) {
  const ValueType type = type_of(ValueKind::boolean, 1);
  EXPECT_EQ(text(exactly(std::uint64_t{0}), type), "false");
  EXPECT_EQ(text(exactly(std::uint64_t{1}), type), "true");
  EXPECT_EQ(text(exactly(std::uint64_t{7}), type), "true (7)");
  EXPECT_EQ(json(exactly(std::uint64_t{1}), type), "1");
  EXPECT_EQ(json(exactly(std::uint64_t{7}), type), "7");
}

TEST(ValueText, PrintableCharacterIsShownWithItsCode) {
  const ValueType type = type_of(ValueKind::character, 1, true);
  EXPECT_EQ(text(exactly(std::uint64_t{'a'}), type), "'a' (97)");
  EXPECT_EQ(text(exactly(std::uint64_t{'\n'}), type), "10");
  EXPECT_EQ(text(exactly(std::uint64_t{0xff}), type), "-1");
  EXPECT_EQ(text(exactly(std::uint64_t{0xff}), type_of(ValueKind::character, 1)), "255");
  EXPECT_EQ(json(exactly(std::uint64_t{'a'}), type), "97");
  EXPECT_EQ(json(exactly(std::uint64_t{0xff}), type), "-1");
}

TEST(ValueText, FloatIsTheShortestTextThatReadsBack) {
  EXPECT_EQ(text(exactly(0.1F), type_of(ValueKind::floating, 4)), "0.1");
  EXPECT_EQ(text(exactly(0.1), type_of(ValueKind::floating, 8)), "0.1");
  EXPECT_EQ(json(exactly(1e300), type_of(ValueKind::floating, 8)), "1e+300");
  EXPECT_EQ(json(exactly(-0.0), type_of(ValueKind::floating, 8)), "-0");
}

TEST(ValueText, FloatThatJsonHasNoNumberForIsAString) {
  EXPECT_EQ(json(exactly(kNanFloat), type_of(ValueKind::floating, 4)), R"("nan")");
  EXPECT_EQ(json(exactly(-kNanFloat), type_of(ValueKind::floating, 4)), R"("nan")");
  EXPECT_EQ(json(exactly(kInfinity), type_of(ValueKind::floating, 8)), R"("inf")");
  EXPECT_EQ(json(exactly(-kInfinity), type_of(ValueKind::floating, 8)), R"("-inf")");
  EXPECT_EQ(text(exactly(-kInfinity), type_of(ValueKind::floating, 8)), "-inf");
}

TEST(ValueText, PointerIsHexadecimalForPeopleAndANumberInJson) {
  const ValueType type = type_of(ValueKind::pointer, 8);
  EXPECT_EQ(text(exactly(std::uint64_t{0x7f00}), type), "0x7f00");
  EXPECT_EQ(text(exactly(std::uint64_t{0}), type), "0x0");
  EXPECT_EQ(json(exactly(std::uint64_t{0x7f00}), type), "32512");
}

TEST(ValueText, EnumerationFollowsTheSignOfItsUnderlyingType) {
  EXPECT_EQ(text(exactly(std::uint64_t{0xffff'ffff}), type_of(ValueKind::enumeration, 4, true)),
            "-1");
  EXPECT_EQ(text(exactly(std::uint64_t{0xffff'ffff}), type_of(ValueKind::enumeration, 4)),
            "4294967295");
}

TEST(ValueText, BytesAreListedFromTheLowestAddress) {
  const ValueType type = type_of(ValueKind::bytes, 3);
  EXPECT_EQ(text(exactly(std::uint64_t{0x03'02'01}), type), "01 02 03");
  EXPECT_EQ(json(exactly(std::uint64_t{0x03'02'01}), type), R"("0x010203")");
}

TEST(ValueText, SlotOfALongerObjectIsBytesOfTheSlotsLength) {
  const ValueType integer128 = type_of(ValueKind::signed_integer, 16, true);
  EXPECT_EQ(text(exactly(std::uint64_t{5}), integer128, 4), "05 00 00 00");
  EXPECT_EQ(json(exactly(std::uint64_t{5}), integer128, 8), R"("0x0500000000000000")");
  EXPECT_FALSE(is_ordered(exactly(std::uint64_t{5}), integer128, ByteCount{8}));
}

TEST(ValueText, FloatOfAnotherWidthIsBytes) {
  EXPECT_EQ(text(exactly(std::uint64_t{0x3c00}), type_of(ValueKind::floating, 2)), "00 3c");
}

TEST(ValueText, ValuesAreOfTheWholeWatchUpToEightBytesElseOfTheSlot) {
  Hit hit;
  hit.length = ByteCount{2};
  EXPECT_EQ(value_length({RemoteAddress(), ByteCount{8}, Access::write}, hit), ByteCount{8});
  EXPECT_EQ(value_length({RemoteAddress(), ByteCount{9}, Access::write}, hit), ByteCount{2});
}

TEST(ValueOrder, FollowsTheType) {
  const MemoryValue minus_one = exactly(std::uint64_t{0xffff'ffff});
  const MemoryValue one = exactly(std::uint64_t{1});
  EXPECT_TRUE(less(minus_one, one, type_of(ValueKind::signed_integer, 4, true)));
  EXPECT_FALSE(less(minus_one, one, type_of(ValueKind::unsigned_integer, 4)));
  EXPECT_TRUE(less(exactly(-1.5), exactly(0.5), type_of(ValueKind::floating, 8)));
  EXPECT_TRUE(less(exactly(-1.5F), exactly(0.5F), type_of(ValueKind::floating, 4)));
}

TEST(ValueOrder, TellsNeighbouring64BitNumbersApart) {
  const std::uint64_t large = std::uint64_t{1} << 63;
  const ValueType type = type_of(ValueKind::unsigned_integer, 8);
  EXPECT_TRUE(less(exactly(large), exactly(large + 1), type));
  EXPECT_FALSE(less(exactly(large + 1), exactly(large), type));
}

TEST(ValueOrder, BytesAndNanHaveNone) {
  EXPECT_FALSE(is_ordered(exactly(std::uint64_t{1}), type_of(ValueKind::bytes, 4), ByteCount{4}));
  EXPECT_FALSE(is_ordered(exactly(kNanFloat), type_of(ValueKind::floating, 4), ByteCount{4}));
  EXPECT_TRUE(is_ordered(exactly(kInfinity), type_of(ValueKind::floating, 8), ByteCount{8}));
}

}  // namespace
}  // namespace trapline::report
