#include "tools/trapline/watch/collector_choice.h"

#include <gtest/gtest.h>

namespace trapline::command {
namespace {

TEST(CollectorOptionsFor, ExecutionNeedsRegistersOnlyToUnwind) {
  WatchOptions options;
  options.access = Access::execute;
  EXPECT_FALSE(collector_options_for(options, {}).registers);
  options.stack = linux_port::StackMode::dwarf;
  EXPECT_TRUE(collector_options_for(options, {}).registers);
}

TEST(CollectorOptionsFor, DataNeedsThemForItsInstructionEvenWithoutValues) {
  WatchOptions options;
  options.values = false;
  options.stack = linux_port::StackMode::none;
  EXPECT_TRUE(collector_options_for(options, {}).registers);
}

// Which sees the bytes that it lies in.
TEST(CollectorOptionsFor, ConditionsOnABitFieldAreNotTheCollectors) {
  WatchedObject object;
  object.conditions = {*type_condition(*parse_condition("new==1"), {ByteCount{1}, false})};
  EXPECT_EQ(collector_options_for({}, object).conditions.size(), 1U);
  object.type.bits = symbols::BitRange{0, 3};
  EXPECT_TRUE(collector_options_for({}, object).conditions.empty());
}

}  // namespace
}  // namespace trapline::command
