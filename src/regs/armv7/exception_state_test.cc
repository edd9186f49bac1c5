#include "regs/armv7/exception_state.h"

#include <gtest/gtest.h>

namespace trapline::regs::armv7 {
namespace {

constexpr std::uint32_t kUserArm = 0x00000010;
constexpr std::uint32_t kUserThumb = 0x00000030;

TEST(Armv7ExceptionState, UndefinedInstructionIsFourBehindInArmAndTwoInThumb) {
  const auto kind = ExceptionKind::undefined_instruction;
  EXPECT_EQ(faulting_instruction(kind, 0x8004, kUserArm), 0x8000U);
  EXPECT_EQ(faulting_instruction(kind, 0x8002, kUserThumb), 0x8000U);
}

TEST(Armv7ExceptionState, AbortsAreAtTheSameOffsetInBothStates) {
  for (const std::uint32_t state : {kUserArm, kUserThumb}) {
    EXPECT_EQ(faulting_instruction(ExceptionKind::prefetch_abort, 0x8004, state), 0x8000U);
    EXPECT_EQ(faulting_instruction(ExceptionKind::data_abort, 0x8008, state), 0x8000U);
  }
}

TEST(Armv7ExceptionState, FixupLosesTheItBitsAndKeepsTheRest) {
  // IT bits all set, in a Thumb state with flags, E, A, I and F.
  EXPECT_EQ(state_at_fixup(0xf600fff0 | 0x0600fc00), 0xf00003f0U);
  EXPECT_EQ(state_at_fixup(kUserThumb), kUserThumb);
  EXPECT_EQ(state_at_fixup(kUserArm), kUserArm);
}

TEST(Armv7ExceptionState, ImpreciseAbortsAreTold) {
  EXPECT_EQ(decode_fault_status(0x406).cause, AbortCause::asynchronous);   // FS 0b10110
  EXPECT_EQ(decode_fault_status(0x1c06).cause, AbortCause::asynchronous);  // with WnR and ExT
  EXPECT_EQ(decode_fault_status(0x408).cause, AbortCause::asynchronous);   // parity
  EXPECT_EQ(decode_fault_status(0x211).cause, AbortCause::asynchronous);   // LPAE
  EXPECT_EQ(decode_fault_status(0x219).cause, AbortCause::asynchronous);
}

TEST(Armv7ExceptionState, BothFormatsNameTheSameCauses) {
  struct Case {
    std::uint32_t short_format, long_format;
    AbortCause cause;
  };
  for (const Case& each :
       {Case{0x007, 0x207, AbortCause::translation}, Case{0x00f, 0x20f, AbortCause::permission},
        Case{0x003, 0x20b, AbortCause::permission},  // access flag
        Case{0x001, 0x221, AbortCause::alignment}, Case{0x008, 0x210, AbortCause::external},
        Case{0x00e, 0x217, AbortCause::external},  // while walking the tables
        Case{0x409, 0x218, AbortCause::parity}, Case{0x002, 0x222, AbortCause::debug}}) {
    EXPECT_EQ(decode_fault_status(each.short_format).cause, each.cause) << each.short_format;
    EXPECT_EQ(decode_fault_status(each.long_format).cause, each.cause) << each.long_format;
    EXPECT_FALSE(decode_fault_status(each.short_format).is_write);
    EXPECT_TRUE(decode_fault_status(each.short_format | 0x800).is_write);
    EXPECT_TRUE(decode_fault_status(each.long_format | 0x800).is_write);
  }
}

}  // namespace
}  // namespace trapline::regs::armv7
