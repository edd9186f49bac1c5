#include "instructions/armv7/memory_access.h"

#include <gtest/gtest.h>

namespace trapline::instructions::armv7 {
namespace {

// Encodings are those of GNU as; comments have its disassembly.

TEST(Armv7MemoryAccess, ArmLoads) {
  for (const std::uint32_t instruction : {
           0xe514f008U,  // ldr pc, [r4, #-8]
           0xe79ff103U,  // ldr pc, [pc, r3, lsl #2]
           0xe8bd8010U,  // pop {r4, pc}
           0xe1921f9fU,  // ldrex r1, [r2]
           0xe1c200d0U,  // ldrd r0, [r2]
           0xe1d200f0U,  // ldrsh r0, [r2]
           0xe1d200d0U,  // ldrsb r0, [r2]
           0xe4b10000U,  // ldrt r0, [r1], #0
       })
    EXPECT_EQ(access_of(instruction, false), Access::read) << std::hex << instruction;
}

TEST(Armv7MemoryAccess, ArmStores) {
  for (const std::uint32_t instruction : {
           0xe5810000U,  // str r0, [r1]
           0xe8800006U,  // stm r0, {r1, r2}
           0xe92d0006U,  // push {r1, r2}
           0xe1826f91U,  // strex r6, r1, [r2]
           0xe1c200f0U,  // strd r0, [r2]
           0xe1c200b0U,  // strh r0, [r2]
       })
    EXPECT_EQ(access_of(instruction, false), Access::write) << std::hex << instruction;
  EXPECT_EQ(access_of(0xe1020091, false), Access::read_write) << "swp r0, r1, [r2]";
}

TEST(Armv7MemoryAccess, ThumbLoads) {
  for (const std::uint32_t instruction : {
           0x5881U,      // ldr r1, [r0, r2]
           0x9901U,      // ldr r1, [sp, #4]
           0xbc01U,      // pop {r0}
           0xe9d01200U,  // ldrd r1, r2, [r0]
           0xe8521f00U,  // ldrex r1, [r2]
           0xf8b01004U,  // ldrh.w r1, [r0, #4]
           0xf920070fU,  // vld1.8 {d0}, [r0]
           0xe8bd8110U,  // ldmia.w sp!, {r4, r8, pc}
       })
    EXPECT_EQ(access_of(instruction, true), Access::read) << std::hex << instruction;
}

TEST(Armv7MemoryAccess, ThumbStores) {
  for (const std::uint32_t instruction : {
           0x6001U,      // str r1, [r0]
           0x5481U,      // strb r1, [r0, r2]
           0xb401U,      // push {r0}
           0xc002U,      // stmia r0!, {r1}
           0xe9c01200U,  // strd r1, r2, [r0]
           0xe8421600U,  // strex r6, r1, [r2]
           0xf8c01004U,  // str.w r1, [r0, #4]
           0xed800b00U,  // vstr d0, [r0]
           0xf900070fU,  // vst1.8 {d0}, [r0]
       })
    EXPECT_EQ(access_of(instruction, true), Access::write) << std::hex << instruction;
}

TEST(Armv7MemoryAccess, WhatTouchesNoMemoryIsNeither) {
  for (const std::uint32_t instruction : {
           0xe1500001U,  // cmp r0, r1
           0xe0050291U,  // mul r5, r1, r2
           0xe780f211U,  // usad8 r0, r1, r2
           0xf5d0f000U,  // pld [r0]
           0xea00003eU,  // b
       })
    EXPECT_EQ(access_of(instruction, false), std::nullopt) << std::hex << instruction;
  for (const std::uint32_t instruction : {0x3001U, 0x1a88U, 0xb172U, 0xd0eeU})
    EXPECT_EQ(access_of(instruction, true), std::nullopt) << std::hex << instruction;
}

}  // namespace
}  // namespace trapline::instructions::armv7
