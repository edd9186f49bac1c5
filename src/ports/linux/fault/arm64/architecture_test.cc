// Signal frames as the kernel makes them on arm64, made up.
#include <asm/sigcontext.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "ports/linux/fault/signal_context.h"

namespace trapline::linux_port {
namespace {

struct Frame {
  std::unique_ptr<ucontext_t> context = std::make_unique<ucontext_t>();

  [[nodiscard]] SignalContext registers() const { return {SIGSEGV, *context}; }
  // Behind another record, as in a frame of the kernel.
  void set_syndrome(std::uint64_t syndrome) const {
    unsigned char* const records = context->uc_mcontext.__reserved;
    const _aarch64_ctx vectors{FPSIMD_MAGIC, sizeof(fpsimd_context)};
    std::memcpy(records, &vectors, sizeof vectors);
    const esr_context record{{ESR_MAGIC, sizeof(esr_context)}, syndrome};
    std::memcpy(records + sizeof(fpsimd_context), &record, sizeof record);
  }
};

TEST(SignalContext, SyndromeTellsWhatWasTried) {
  struct Case {
    std::uint64_t syndrome;
    std::uint32_t attempted;
  };
  for (const Case& each :
       {Case{0x92000006, TRAPLINE_GUARD_READ}, Case{0x92000046, TRAPLINE_GUARD_WRITE},
        Case{0x82000006, TRAPLINE_GUARD_EXECUTE},
        // cache maintenance, which is called a write
        Case{0x92000146, TRAPLINE_GUARD_READ | TRAPLINE_GUARD_WRITE}}) {
    const Frame frame;
    frame.set_syndrome(each.syndrome);
    EXPECT_EQ(frame.registers().attempted(), each.attempted) << std::hex << each.syndrome;
  }
}

TEST(SignalContext, WithoutASyndromeAnythingMayHaveBeenTried) {
  EXPECT_EQ(Frame().registers().attempted(),
            std::uint32_t{TRAPLINE_GUARD_READ | TRAPLINE_GUARD_WRITE | TRAPLINE_GUARD_EXECUTE});
}

TEST(SignalContext, FixupIsNoBranchTarget) {
  const Frame frame;
  frame.context->uc_mcontext.pstate = 0x60000c00;
  frame.registers().continue_at(0x1234);
  EXPECT_EQ(frame.context->uc_mcontext.pc, 0x1234U);
  EXPECT_EQ(frame.context->uc_mcontext.pstate, 0x60000000U);
}

}  // namespace
}  // namespace trapline::linux_port
