#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <string>

#include "trapline/watch/condition.h"

namespace trapline {
namespace {

constexpr ValueShape kChar{ByteCount{1}, true};
constexpr ValueShape kByte{ByteCount{1}, false};
constexpr ValueShape kSignedLong{ByteCount{8}, true};
constexpr ValueShape kFloat{ByteCount{4}, false, true};
constexpr ValueShape kDouble{ByteCount{8}, false, true};
constexpr ValueShape kLongDouble{ByteCount{16}, false, true};
constexpr ValueShape kFourWords{ByteCount{32}, false};

// Where the type refuses the condition; nullopt: it does not.
std::optional<std::size_t> refused_at(const std::string& text, ValueShape shape) {
  const auto condition = parse_condition(text);
  EXPECT_TRUE(condition) << text;
  if (!condition) return std::nullopt;
  const auto typed = type_condition(*condition, shape);
  if (typed) return std::nullopt;
  EXPECT_FALSE(typed.error().reason.empty());
  return typed.error().position;
}

struct Row {
  const char* text;
  ValueShape shape;
};

TEST(ConditionTypes, WhatTheTypeCanBeIsAccepted) {
  for (const Row& row :
       {Row{"new == -128", kChar}, Row{"new == 127", kChar}, Row{"new == 255", kByte},
        Row{"new == -0", kByte}, Row{"new == 0x8000000000000000", kFourWords},
        Row{"new == -9223372036854775808", kSignedLong}, Row{"new & 0x80 == 0x80", kChar},
        Row{"new & 0xf0 > 0x0f", kByte}, Row{"new == tid", kByte}, Row{"new < old", kDouble},
        Row{"new == 16777217", kFloat}, Row{"new < 3e38", kFloat}, Row{"changed", kLongDouble},
        Row{"tid == 2147483647", kLongDouble}, Row{"cpu & 3 == cpu", kChar}}) {
    EXPECT_EQ(refused_at(row.text, row.shape), std::nullopt) << row.text;
  }
}

TEST(ConditionTypes, WhatCanNeverBeIsRefusedWhereItStands) {
  struct Refusal {
    const char* text;
    ValueShape shape;
    std::size_t position;
    bool is_of_the_type;
  };
  for (const Refusal& row : {Refusal{"new == 128", kChar, 7, true},
                             Refusal{"new == -129", kChar, 7, true},
                             Refusal{"new==256", kByte, 5, true},
                             Refusal{"-1 < new", kByte, 0, true},
                             Refusal{"new == 9223372036854775808", kSignedLong, 7, true},
                             Refusal{"new == 1.5", kByte, 7, true},
                             Refusal{"new & 0x180", kByte, 6, true},
                             Refusal{"0x100 & new", kByte, 0, true},
                             Refusal{"new & 0xf0 == 3", kByte, 14, true},
                             Refusal{"new & 3 < 4", kByte, 10, true},
                             Refusal{"new & 1 == -1", kChar, 11, true},
                             Refusal{"new & 1", kDouble, 6, true},
                             Refusal{"new > 1e39", kFloat, 6, true},
                             Refusal{"new > 1e-400", kDouble, 6, true},
                             Refusal{"new == tid", kDouble, 7, true},
                             Refusal{"new == old", kLongDouble, 0, true},
                             Refusal{"tid == 2147483648", kByte, 7, false},
                             Refusal{"pid == -1", kByte, 7, false},
                             Refusal{"cpu == 1e1", kByte, 7, false},
                             Refusal{"tid & 0x80000000", kByte, 6, false}}) {
    EXPECT_EQ(refused_at(row.text, row.shape), row.position) << row.text;
    EXPECT_EQ(type_condition(*parse_condition(row.text), row.shape).error().is_of_the_type,
              row.is_of_the_type)
        << row.text;
  }
}

}  // namespace
}  // namespace trapline
