#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "trapline/watch/condition.h"

namespace trapline {
namespace {

TEST(ConditionParser, NeedsValuesTellsWhetherOldOrNewIsNamed) {
  EXPECT_TRUE(parse_condition("changed")->needs_values());
  EXPECT_TRUE(parse_condition("0==old")->needs_values());
  EXPECT_TRUE(parse_condition("new & 1")->needs_values());
  EXPECT_FALSE(parse_condition("tid==1")->needs_values());
  EXPECT_FALSE(parse_condition("comm==new")->needs_values());
}

TEST(ConditionParser, NameOfAThreadEndsAtASpaceUnlessItIsQuoted) {
  struct Row {
    const char* text;
    std::string_view name;
  };
  for (const Row& row :
       {Row{"comm == app", "app"}, Row{"comm=='Web Content'", "Web Content"},
        Row{"comm != \"it's\" ", "it's"}, Row{"comm==kworker/u16:1-e", "kworker/u16:1-e"},
        Row{"comm == 123456789012345", "123456789012345"}, Row{"comm == new&1", "new&1"}}) {
    const auto condition = parse_condition(row.text);
    ASSERT_TRUE(condition) << row.text;
    EXPECT_EQ(condition->kind, Condition::Kind::thread_name);
    EXPECT_EQ(std::string(condition->name.data()), row.name);
  }
}

TEST(ConditionParser, ErrorPointsAtTheFirstWrongCharacter) {
  struct Row {
    const char* text;
    std::size_t position;
  };
  for (const Row& row :
       {Row{"", 0}, Row{"new", 3}, Row{"new =< 3", 4}, Row{"new == ", 7}, Row{"nwe==1", 0},
        Row{"new==1 2", 7}, Row{"changed 1", 8}, Row{"new==0x", 7}, Row{"new==--1", 6},
        Row{"new==99999999999999999999", 24}, Row{"new==1x", 6}, Row{"changedx==1", 0},
        // masks
        Row{"new & ", 6}, Row{"new & old == 1", 6}, Row{"new & -1", 6}, Row{"new & 1.5", 6},
        Row{"new & 0", 6}, Row{"new & 1 & 2", 8}, Row{"(new & 1 == 1", 9}, Row{"new & 1)", 7},
        Row{"1 & 2 == new", 0}, Row{"1 == 2", 0}, Row{"((new & 1))", 1},
        // names of threads
        Row{"comm", 4}, Row{"comm < 3", 5}, Row{"comm ==", 7}, Row{"comm == ''", 9},
        Row{"comm == 'app", 12}, Row{"comm == Web Content", 12},
        Row{"comm == 1234567890123456", 23}, Row{"app == comm", 0},
        // floating point
        Row{"new > 1.", 8}, Row{"new > .5", 6}, Row{"new > 1e", 8}, Row{"new > 1e+", 9},
        Row{"new > 1e1000", 11}, Row{"new > 1.00000000000000000000", 27}, Row{"new > 0x1p3", 9}}) {
    const auto condition = parse_condition(row.text);
    ASSERT_FALSE(condition.has_value()) << row.text;
    EXPECT_EQ(condition.error().position, row.position)
        << row.text << ": " << condition.error().reason;
    EXPECT_FALSE(condition.error().is_of_the_type);
  }
}

TEST(ConditionParser, TextMayHaveAnyBytes) {
  EXPECT_FALSE(parse_condition(std::string_view("new\0==1", 7)));
  EXPECT_TRUE(parse_condition("comm == \xff\x01"));
}

TEST(ConditionParser, MostNegativeNumberIsTheLast) {
  EXPECT_TRUE(parse_condition("new == -9223372036854775808"));
  EXPECT_FALSE(parse_condition("new == -9223372036854775809"));
}

}  // namespace
}  // namespace trapline
