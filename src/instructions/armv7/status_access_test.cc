#include "instructions/armv7/status_access.h"

#include <gtest/gtest.h>

namespace trapline::instructions::armv7 {
namespace {

// Encodings are those of GNU as; comments have its disassembly.

constexpr std::uint32_t kPc = 0x5000;
constexpr std::uint32_t kSupervisor = 0x13;
constexpr std::uint32_t kUser = 0x10;
constexpr std::uint32_t kThumb = 1U << 5;
constexpr std::uint32_t kF = 1U << 6;
constexpr std::uint32_t kI = 1U << 7;
constexpr std::uint32_t kA = 1U << 8;
constexpr std::uint32_t kZero = 1U << 30;

CoreRegisters registers(std::uint32_t cpsr) {
  CoreRegisters result{.pc = kPc, .cpsr = cpsr};
  for (std::uint32_t number = 0; number < result.r.size(); ++number) result.r[number] = number;
  return result;
}
CoreRegisters after(std::uint32_t instruction, const CoreRegisters& before) {
  return execute_status_access(instruction, before).value();
}
std::uint32_t cpsr_after(std::uint32_t instruction, std::uint32_t cpsr) {
  return after(instruction, registers(cpsr)).cpsr;
}

TEST(Armv7StatusAccess, WhatReadsOrWritesCpsrIsKnown) {
  for (const std::uint32_t instruction : {
           0xe10f3000U,  // mrs r3, CPSR
           0x010f3000U,  // mrseq r3, CPSR
           0xe121f002U,  // msr CPSR_c, r2
           0x1121f00eU,  // msrne CPSR_c, lr
           0xe321f0d3U,  // msr CPSR_c, #0xd3
           0xe328f20fU,  // msr CPSR_f, #0xf0000000
           0xf10c0080U,  // cpsid i
           0xf102001fU,  // cps #31
       })
    EXPECT_EQ(status_access_of(instruction, false), StatusAccess::executable)
        << std::hex << instruction;
  for (const std::uint32_t instruction : {
           0xf3ef8300U,  // mrs r3, CPSR
           0xf3828100U,  // msr CPSR_c, r2
           0xb672U,      // cpsid i
           0xf3af8640U,  // cpsid.w i
           0xf3af811fU,  // cps #31
       })
    EXPECT_EQ(status_access_of(instruction, true), StatusAccess::executable)
        << std::hex << instruction;
}

TEST(Armv7StatusAccess, ExceptionReturnsAndBankedDestinationsCannotBeExecuted) {
  for (const std::uint32_t instruction : {
           0xe10fd000U,  // mrs sp, CPSR
           0xe10fe000U,  // mrs lr, CPSR
           0xf8bd0a00U,  // rfeia sp!
           0xf9100a00U,  // rfedb r0
           0xe8fd800fU,  // ldm sp!, {r0-r3, pc}^
           0xe25ef004U,  // subs pc, lr, #4
           0xe1b0f00eU,  // movs pc, lr
           0xe160006eU,  // eret
       }) {
    EXPECT_EQ(status_access_of(instruction, false), StatusAccess::other) << std::hex << instruction;
    EXPECT_EQ(execute_status_access(instruction, registers(kSupervisor)), std::nullopt);
  }
  for (const std::uint32_t instruction : {
           0xf3ef8e00U,  // mrs lr, CPSR
           0xe9bdc000U,  // rfeia sp!
           0xe810c000U,  // rfedb r0
           0xf3de8f04U,  // subs pc, lr, #4
           0xf3de8f00U,  // eret
       }) {
    EXPECT_EQ(status_access_of(instruction, true), StatusAccess::other) << std::hex << instruction;
    EXPECT_EQ(execute_status_access(instruction, registers(kSupervisor | kThumb)), std::nullopt);
  }
}

TEST(Armv7StatusAccess, OtherInstructionsAreNone) {
  for (const std::uint32_t instruction : {
           0xe14f3000U,  // mrs r3, SPSR
           0xe1003200U,  // mrs r3, R8_usr
           0xe16ff002U,  // msr SPSR_fsxc, r2
           0xf1010200U,  // setend be
           0xe320f000U,  // nop
           0xe320f003U,  // wfi
           0xe8dd000fU,  // ldm sp, {r0-r3}^: user registers
           0xe8bd8001U,  // pop {r0, pc}
           0xe1a0f00eU,  // mov pc, lr
           0xe150000fU,  // cmp r0, pc
           0xe130000fU,  // teq r0, pc
           0xe0100291U,  // muls r0, r1, r2
           0xf96d0513U,  // srsdb sp!, #19
           0xe12fff1eU,  // bx lr
       }) {
    EXPECT_EQ(status_access_of(instruction, false), StatusAccess::none) << std::hex << instruction;
    EXPECT_EQ(execute_status_access(instruction, registers(kSupervisor)), std::nullopt);
  }
  for (const std::uint32_t instruction : {
           0xf3ff8300U,  // mrs r3, SPSR
           0xf3928100U,  // msr SPSR_c, r2
           0xbf00U,      // nop
           0xf3af8000U,  // nop.w
           0xf3af8003U,  // wfi.w
           0xb658U,      // setend be
           0xbd01U,      // pop {r0, pc}
           0x4770U,      // bx lr
       })
    EXPECT_EQ(status_access_of(instruction, true), StatusAccess::none) << std::hex << instruction;
}

TEST(Armv7StatusAccess, MrsReadsAllButTheStateOfExecution) {
  const CoreRegisters before = registers(0xf10f'0353);  // with J
  CoreRegisters expected = before;
  expected.r[3] = 0xf00f'0353;
  expected.pc = kPc + 4;
  EXPECT_EQ(after(0xe10f3000, before), expected);
  // In an IT block, in Thumb state: neither is shown.
  const CoreRegisters thumb = after(0xf3ef8300, registers(0x0600'0c13 | kThumb | kZero));
  EXPECT_EQ(thumb.r[3], kZero | kSupervisor);
  EXPECT_EQ(thumb.pc, kPc + 4);
}

TEST(Armv7StatusAccess, MsrWritesTheFieldsItNames) {
  CoreRegisters before = registers(kSupervisor);
  before.r[2] = 0xffff'ffff;
  EXPECT_EQ(after(0xe121f002, before).cpsr, kF | kI | 0x1fU) << "c: masks and mode, not T";
  EXPECT_EQ(after(0xe128f002, before).cpsr, 0xf800'0000 | kSupervisor) << "f: flags";
  EXPECT_EQ(after(0xe12ff002, before).cpsr, 0xf80f'03df);
  EXPECT_EQ(cpsr_after(0xe321f0d3, 0), 0xd3U) << "an immediate";
  EXPECT_EQ(cpsr_after(0xe328f20f, kI), 0xf000'0080) << "an immediate that is rotated";
  before.cpsr |= kThumb;
  EXPECT_EQ(after(0xf3828f00, before).cpsr, 0xf80f'03ff) << "T stays";
}

TEST(Armv7StatusAccess, CpsMasksUnmasksAndChangesMode) {
  EXPECT_EQ(cpsr_after(0xf10c0080, kSupervisor), kSupervisor | kI);                 // cpsid i
  EXPECT_EQ(cpsr_after(0xf10800c0, kSupervisor | kA | kI | kF), kSupervisor | kA);  // cpsie if
  EXPECT_EQ(cpsr_after(0xf10e01d3, 0x1f), kSupervisor | kA | kI | kF);  // cpsid aif, #19
  EXPECT_EQ(cpsr_after(0xf102001f, kSupervisor | kI), 0x1f | kI);       // cps #31
  constexpr std::uint32_t kInThumb = kSupervisor | kThumb;
  EXPECT_EQ(cpsr_after(0xb672, kInThumb), kInThumb | kI);                     // cpsid i
  EXPECT_EQ(cpsr_after(0xb665, kInThumb | kA | kI | kF), kInThumb | kI);      // cpsie af
  EXPECT_EQ(cpsr_after(0xf3af87f3, 0x1f | kThumb), kInThumb | kA | kI | kF);  // cpsid aif, #19
  EXPECT_EQ(cpsr_after(0xf3af811f, kInThumb), 0x1f | kThumb);                 // cps #31
}

TEST(Armv7StatusAccess, UserModeChangesItsFlagsOnly) {
  EXPECT_EQ(cpsr_after(0xf10c0080, kUser), kUser);  // cpsid i
  CoreRegisters before = registers(kUser);
  before.r[2] = 0xffff'ffff;
  EXPECT_EQ(after(0xe12ff002, before).cpsr, 0xf80f'0200 | kUser);
}

TEST(Armv7StatusAccess, ConditionsAndItBlocksAreHeeded) {
  EXPECT_EQ(after(0x010f3000, registers(kI)).r[3], 3U) << "mrseq, not zero";
  EXPECT_EQ(after(0x010f3000, registers(kI)).pc, kPc + 4);
  EXPECT_EQ(after(0x010f3000, registers(kI | kZero)).r[3], kI | kZero);
  // ITSTATE 0000'0100 is "eq, eq", with two to go; then 0000'1000; then 0.
  constexpr std::uint32_t kTwoOfItEq = 0b000001U << 10;
  constexpr std::uint32_t kLastOfItEq = 0b000010U << 10;
  const CoreRegisters first = after(0xf3ef8300, registers(kTwoOfItEq | kThumb));
  EXPECT_EQ(first.r[3], 3U);
  EXPECT_EQ(first.cpsr, kLastOfItEq | kThumb);
  const CoreRegisters last = after(0xf3ef8300, registers(kLastOfItEq | kThumb | kZero));
  EXPECT_EQ(last.r[3], kZero);
  EXPECT_EQ(last.cpsr, kThumb | kZero);
}

TEST(Armv7StatusAccess, NarrowOnesAreTwoBytesLong) {
  EXPECT_EQ(after(0xb672, registers(kThumb)).pc, kPc + 2);
  EXPECT_EQ(after(0xf3af8640, registers(kThumb)).pc, kPc + 4);
}

}  // namespace
}  // namespace trapline::instructions::armv7
