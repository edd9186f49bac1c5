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

}  // namespace
}  // namespace trapline::command
