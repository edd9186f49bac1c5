// What is x86-64's own: signals as the kernel makes them, made up; and addresses outside the
// canonical ranges, for which there is no page fault and no address.
#include <gtest/gtest.h>

#include <vector>

#include "ports/linux/fault/fault_signals.h"
#include "trapline/linux/guarded_access.h"

namespace trapline::linux_port {
namespace {

using fault::AccessError;
using fault::FaultKind;

struct Frame {
  ucontext_t context{};
  siginfo_t info{};

  Frame(int code, std::uintptr_t address, greg_t vector, greg_t error = 0) {
    info.si_code = code;
    info.si_addr = reinterpret_cast<void*>(address);
    context.uc_mcontext.gregs[REG_RIP] = 0x1000;
    context.uc_mcontext.gregs[REG_TRAPNO] = vector;
    context.uc_mcontext.gregs[REG_ERR] = error;
  }
  [[nodiscard]] std::optional<fault::FaultEvent> event(int signal) {
    return classify_fault(signal, info, SignalContext(signal, context));
  }
};

constexpr greg_t kPageFault = 14;

TEST(ClassifyFault, PageFaultTellsWhatWasTried) {
  struct Case {
    greg_t error;
    std::uint32_t attempted;
  };
  for (const Case& each : {Case{0x4, TRAPLINE_GUARD_READ}, Case{0x6, TRAPLINE_GUARD_WRITE},
                           Case{0x7, TRAPLINE_GUARD_WRITE}, Case{0x15, TRAPLINE_GUARD_EXECUTE}}) {
    Frame frame(SEGV_ACCERR, 0x5000, kPageFault, each.error);
    const auto event = frame.event(SIGSEGV);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->attempted, each.attempted);
    EXPECT_EQ(event->kind, FaultKind::no_permission);
    EXPECT_EQ(event->address, 0x5000U);
  }
}

TEST(ClassifyFault, SentSignalsAreNone) {
  for (const int code : {SI_USER, SI_QUEUE, SI_TKILL, SI_TIMER, SI_ASYNCIO}) {
    for (const int signal : kFaultSignals) {
      Frame frame(code, 0x5000, kPageFault);
      EXPECT_FALSE(frame.event(signal)) << signal << " " << code;
    }
  }
}

TEST(ClassifyFault, LateReportsAreNone) {
  EXPECT_FALSE(Frame(BUS_MCEERR_AO, 0x5000, kPageFault).event(SIGBUS));
  EXPECT_FALSE(Frame(8 /* SEGV_MTEAERR */, 0x5000, kPageFault).event(SIGSEGV));
  EXPECT_TRUE(Frame(BUS_MCEERR_AR, 0x5000, kPageFault).event(SIGBUS));
}

TEST(ClassifyFault, ShadowStackFaultIsNone) {
  EXPECT_FALSE(Frame(10 /* SEGV_CPERR */, 0, 21).event(SIGSEGV));
}

TEST(ClassifyFault, NotCanonicalIsToldThoughTheAddressIsNot) {
  Frame general(SI_KERNEL, 0, 13);
  const auto event = general.event(SIGSEGV);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, FaultKind::not_an_address);
  EXPECT_NE(event->attempted & TRAPLINE_GUARD_READ, 0U);
  EXPECT_NE(event->attempted & TRAPLINE_GUARD_WRITE, 0U);
  Frame stack(SI_KERNEL, 0, 12);
  EXPECT_EQ(stack.event(SIGBUS)->kind, FaultKind::not_an_address);
}

TEST(ClassifyFault, OnlyBreakpointInstructionsOfAllTraps) {
  for (const int code :
       {2 /* TRAP_TRACE */, 3 /* TRAP_BRANCH */, 4 /* TRAP_HWBKPT */, 6 /* TRAP_PERF */}) {
    EXPECT_FALSE(Frame(code, 0x1000, 1).event(SIGTRAP)) << code;
  }
  EXPECT_EQ(Frame(SI_KERNEL, 0, 3).event(SIGTRAP)->kind, FaultKind::breakpoint);
}

TEST(SignalContext, Int3ReportsTheInstructionAfterItAndUd2Itself) {
  Frame frame(SI_KERNEL, 0, 3);
  EXPECT_EQ(SignalContext(SIGTRAP, frame.context).faulting_instruction(), 0xfffU);
  Frame undefined(ILL_ILLOPN, 0x1000, 6);
  EXPECT_EQ(SignalContext(SIGILL, undefined.context).faulting_instruction(), 0x1000U);
}

// In the middle between user and kernel, with 48 bits and with 57.
constexpr std::uintptr_t kNowhere = std::uintptr_t{1} << 62;

class NotCanonical : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fault::install_fault_handler()); }
  const AccessError error_{AccessError::Stage::faulted, FaultKind::not_an_address, kNowhere};
};

TEST_F(NotCanonical, IsAResultWithTheAddressThatWasAskedFor) {
  auto* const bad = reinterpret_cast<std::uint64_t*>(kNowhere);
  EXPECT_EQ(fault::try_load(bad), std::unexpected(error_));
  EXPECT_EQ(fault::try_store(bad, 1U), std::unexpected(error_));
  EXPECT_EQ(fault::try_exchange(bad, 1U), std::unexpected(error_));
  std::uint64_t expected = 0;
  EXPECT_EQ(fault::try_compare_exchange(bad, expected, 1U), std::unexpected(error_));
  EXPECT_EQ(fault::try_fill(bad, 1, 100).error, error_);
  EXPECT_EQ(fault::try_strnlen(reinterpret_cast<char*>(bad), 9), std::unexpected(error_));
}

TEST_F(NotCanonical, CopyTellsTheSide) {
  for (const std::size_t size : {1U, 8U, 33U, 64U, 100U, 300U, 1000U, 30'000U}) {
    std::vector<char> good(size);
    auto* const bad = reinterpret_cast<char*>(kNowhere);
    const auto from_there = fault::try_copy(good.data(), bad, size);
    EXPECT_EQ(from_there.copied, 0U);
    EXPECT_EQ(from_there.side, fault::CopySide::source);
    EXPECT_EQ(from_there.error, error_);
    const auto to_there = fault::try_copy(bad, good.data(), size);
    EXPECT_EQ(to_there.copied, 0U);
    EXPECT_EQ(to_there.side, fault::CopySide::destination);
    EXPECT_EQ(to_there.error, error_);
  }
}

// RBP means the stack segment: #SS instead of #GP, and SIGBUS instead of SIGSEGV.
TEST_F(NotCanonical, IsTheSameThroughTheStackSegment) {
  TRAPLINE_FAULT_WORD(word);
  __asm__ volatile(
      "push %%rbp\n"
      "mov %1, %%rbp\n" TRAPLINE_GUARDED(
          "movl (%%rbp), %%eax", TRAPLINE_GUARD_READ | TRAPLINE_GUARD_FAULT_WORD) "pop %%rbp\n"
      : "+r"(word)
      : "r"(kNowhere)
      : "rax", "memory");
  EXPECT_EQ(fault::kind_of_fault(word), FaultKind::not_an_address);
}

}  // namespace
}  // namespace trapline::linux_port
