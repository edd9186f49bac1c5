// Armv7: a fixup that is reached from within an IT block is not subject to its condition.
#include <gtest/gtest.h>

#include "trapline/linux/guarded_access.h"

namespace {

TEST(Armv7ItBlock, ConditionDoesNotReachTheFixup) {
  ASSERT_TRUE(trapline::fault::install_fault_handler());
  std::uint32_t reached = 0;
  std::uint32_t value = 0;
  // The load is for "equal", which holds; what would follow it is for "not equal". With the IT bits
  // of the load left in place, the first instruction of the fixup would be skipped.
  __asm__ volatile(
      ".syntax unified\n"
      "cmp %[null], #0\n"
      "itee eq\n"
      "1: ldreq %[value], [%[null]]\n"
      "movne %[value], #1\n"
      "movne %[value], #2\n"
      "b 3f\n"
      "2: mov %[reached], #7\n"
      "3:\n" TRAPLINE_EXCEPTION_ENTRY("1b", "2b", TRAPLINE_GUARD_READ)
      : [reached] "+&r"(reached), [value] "+&r"(value)
      : [null] "r"(0)
      : "cc", "memory");
  EXPECT_EQ(reached, 7U);
  EXPECT_EQ(value, 0U);
}

}  // namespace
