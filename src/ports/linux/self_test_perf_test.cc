#include <gtest/gtest.h>
#include <unistd.h>

#include "ports/linux/perf_test_support.h"
#include "ports/linux/self_test.h"

namespace trapline::linux_port {
namespace {

TEST(SelfTestPerf, FiresHereAndGivesItsSlotBack) {
  const auto result = self_test_perf();
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_TRUE(testing::slots_get_free(ThreadId{::gettid()}, 4));
}

TEST(SelfTestPerf, SaysThatAllRegistersAreTaken) {
  const auto taken = testing::occupy_slots(ThreadId{::gettid()}, 4);
  ASSERT_EQ(taken.size(), 4U);
  const auto result = self_test_perf();
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().error.code, ErrorCode::no_free_slot);
}

}  // namespace
}  // namespace trapline::linux_port
