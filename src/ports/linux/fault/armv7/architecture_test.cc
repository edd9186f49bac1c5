// What is Armv7's own: IT blocks, and the kernel's fault status.
#include <gtest/gtest.h>

#include <memory>

#include "ports/linux/fault/signal_context.h"
#include "trapline/linux/guarded_access.h"

namespace trapline::linux_port {
namespace {

TEST(ItBlock, ConditionDoesNotReachTheFixup) {
  ASSERT_TRUE(fault::install_fault_handler());
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

TEST(SignalContext, FaultStatusTellsWhatWasTried) {
  struct Case {
    unsigned long status;
    std::uint32_t attempted;
  };
  for (const Case& each : {Case{0x7, TRAPLINE_GUARD_READ}, Case{0x807, TRAPLINE_GUARD_WRITE},
                           Case{0x80000007, TRAPLINE_GUARD_EXECUTE}}) {
    const auto context = std::make_unique<ucontext_t>();
    context->uc_mcontext.trap_no = 14;
    context->uc_mcontext.error_code = each.status;
    EXPECT_EQ(SignalContext(SIGSEGV, *context).attempted(), each.attempted);
  }
}

TEST(SignalContext, ThumbBitStaysAndItBitsGo) {
  const auto context = std::make_unique<ucontext_t>();
  context->uc_mcontext.arm_cpsr = 0x60000030 | 0x0600fc00;
  SignalContext(SIGSEGV, *context).continue_at(0x1234);
  EXPECT_EQ(context->uc_mcontext.arm_pc, 0x1234U);
  EXPECT_EQ(context->uc_mcontext.arm_cpsr, 0x60000030U);
}

}  // namespace
}  // namespace trapline::linux_port
