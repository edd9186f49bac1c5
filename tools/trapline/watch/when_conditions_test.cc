#include "tools/trapline/watch/when_conditions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace trapline::command {
namespace {

using symbols::ValueKind;
using symbols::ValueType;
using ::testing::HasSubstr;

constexpr ByteCount kByte{1};
const ValueType unsigned_char{ValueKind::unsigned_integer, kByte, "unsigned char", false};

WatchOptions options_with(const std::string& text) {
  WatchOptions options;
  options.what = "small";
  options.conditions.push_back({text, parse_condition(text).value()});
  return options;
}

std::string refusal_of(const std::string& text, const ValueType& type, ByteCount length) {
  const auto typed = type_conditions(options_with(text), type, length);
  if (typed) return "accepted";
  EXPECT_EQ(typed.error().error.code, ErrorCode::bad_syntax);
  return typed.error().message;
}

TEST(WhenConditions, CaretStandsUnderTheCharacter) {
  EXPECT_EQ(condition_failure("new =< 3", {4, "expected =="}).message,
            "--when 'new =< 3': expected == (at character 5)\n"
            "    new =< 3\n"
            "        ^");
  EXPECT_THAT(condition_failure("comm == \xc3\xa4 x", {11, "nothing"}).message,
              HasSubstr("\n              ^"));
  EXPECT_THAT(condition_failure("\tnew", {4, "nothing"}).message, HasSubstr("\n    \t   ^"));
}

TEST(WhenConditions, WhatTheTypeRefusesTellsWhatItIs) {
  EXPECT_EQ(
      refusal_of("new == 300", unsigned_char, kByte),
      "--when 'new == 300': it can never be this number; small is unsigned char, 0 to 255 (at "
      "character 8)\n"
      "    new == 300\n"
      "           ^");
  const ValueType number{ValueKind::signed_integer, ByteCount{8}, "long", true};
  EXPECT_THAT(refusal_of("new < 1.5", number, ByteCount{8}),
              HasSubstr("; small is long, -9223372036854775808 to 9223372036854775807 (at"));
  const ValueType unknown{ValueKind::bytes, ByteCount{2}, "", false};
  EXPECT_THAT(refusal_of("new == -1", unknown, ByteCount{2}),
              HasSubstr("; small is 2 bytes of no known type, 0 to 65535 (at"));
  const ValueType longest{ValueKind::floating, ByteCount{16}, "long double", false};
  EXPECT_THAT(refusal_of("new > 1", longest, ByteCount{16}),
              HasSubstr("; small is long double (at character 1)"));
}

TEST(WhenConditions, WhatEveryTypeRefusesSaysNothingOfIt) {
  EXPECT_THAT(refusal_of("tid == -1", unsigned_char, kByte),
              HasSubstr("it can never be this number (at character 8)"));
}

TEST(WhenConditions, PartsOfALongObjectHaveNoSign) {
  const ValueType integer{ValueKind::signed_integer, ByteCount{16}, "__int128", true};
  EXPECT_EQ(refusal_of("new == 18446744073709551615", integer, ByteCount{16}), "accepted");
  EXPECT_THAT(refusal_of("new == -1", integer, ByteCount{16}),
              HasSubstr("; small is __int128 (at"));
}

TEST(WhenConditions, FloatingPointIsComparedAsSuch) {
  const ValueType number{ValueKind::floating, ByteCount{8}, "double", false};
  EXPECT_EQ(refusal_of("new > 1.5", number, ByteCount{8}), "accepted");
  EXPECT_THAT(refusal_of("new & 1", number, ByteCount{8}), HasSubstr("; small is double (at"));
}

}  // namespace
}  // namespace trapline::command
