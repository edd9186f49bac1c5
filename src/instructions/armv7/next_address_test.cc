#include "instructions/armv7/next_address.h"

#include <gtest/gtest.h>

namespace trapline::instructions::armv7 {
namespace {

// Encodings are those of GNU as; comments have its disassembly.

constexpr std::uint32_t kThumb = 1U << 5;
constexpr std::uint32_t kZero = 1U << 30;
constexpr std::uint32_t kCarry = 1U << 29;
constexpr std::uint32_t kPc = 0x5000;

// Memory in which every word tells its own address, as an address in Thumb code.
std::optional<std::uint32_t> telling_memory(void* /*context*/, std::uint32_t address,
                                            unsigned length) {
  if (length == 1) return address & 0x7f;
  if (length == 2) return address & 0x7fff;
  return address | 1;
}
std::optional<std::uint32_t> no_memory(void* /*context*/, std::uint32_t /*address*/,
                                       unsigned /*length*/) {
  return std::nullopt;
}

CoreRegisters registers(std::uint32_t cpsr) {
  CoreRegisters result{.pc = kPc, .cpsr = cpsr};
  for (std::uint32_t number = 0; number < result.r.size(); ++number)
    result.r[number] = 0x1000 * number + 0x100;
  return result;
}
NextInstruction arm(std::uint32_t instruction, std::uint32_t cpsr = 0) {
  return next_address(instruction, registers(cpsr), {&telling_memory}).value();
}
NextInstruction thumb(std::uint32_t instruction, std::uint32_t cpsr = 0) {
  return next_address(instruction, registers(cpsr | kThumb), {&telling_memory}).value();
}
constexpr NextInstruction in_arm(std::uint32_t address) {
  return {address, false};
}
constexpr NextInstruction in_thumb(std::uint32_t address) {
  return {address, true};
}

TEST(Armv7NextAddress, OrdinaryArmInstructionsGoOnBehindThemselves) {
  for (const std::uint32_t instruction : {
           0xe1500001U,  // cmp r0, r1
           0xe128f000U,  // msr CPSR_f, r0: its fixed bits look like pc
           0xe0050291U,  // mul r5, r1, r2
           0xe30f3000U,  // movw r3, #61440
           0xe5810000U,  // str r0, [r1]
           0xe1826f91U,  // strex r6, r1, [r2]
           0xe8800006U,  // stm r0, {r1, r2}
           0xe780f211U,  // usad8 r0, r1, r2
           0xf5d0f000U,  // pld [r0]
           0xef000000U,  // svc 0
       })
    EXPECT_EQ(arm(instruction), in_arm(kPc + 4)) << std::hex << instruction;
}

TEST(Armv7NextAddress, ArmBranches) {
  EXPECT_EQ(arm(0xea00003e), in_arm(kPc + 0x100));         // b
  EXPECT_EQ(arm(0x0affffbe), in_arm(kPc + 4));             // beq, not taken
  EXPECT_EQ(arm(0x0affffbe, kZero), in_arm(kPc - 0x100));  // beq, taken
  EXPECT_EQ(arm(0xfb00007e), in_thumb(kPc + 0x202));       // blx
  EXPECT_EQ(arm(0xe12fff11), in_arm(0x1100));              // bx r1
  EXPECT_EQ(arm(0xe12fff32), in_arm(0x2100));              // blx r2
  auto odd = registers(0);
  odd.r[1] = 0x2001;
  EXPECT_EQ(next_address(0xe12fff11, odd, {&no_memory}), in_thumb(0x2000));
}

TEST(Armv7NextAddress, ArmArithmeticOnThePc) {
  EXPECT_EQ(arm(0xe1a0f00e), in_arm(0xe100));                // mov pc, lr
  EXPECT_EQ(arm(0xe08ff103), in_arm(kPc + 8 + 4 * 0x3100));  // add pc, pc, r3, lsl #2
  EXPECT_EQ(arm(0xe041f002), in_arm((0x1100U - 0x2100U)));   // sub pc, r1, r2
}

TEST(Armv7NextAddress, ArmLoadsOfThePc) {
  EXPECT_EQ(arm(0xe514f008), in_thumb(0x4100 - 8));            // ldr pc, [r4, #-8]
  EXPECT_EQ(arm(0xe495f004), in_thumb(0x5100));                // ldr pc, [r5], #4
  EXPECT_EQ(arm(0xe79ff103), in_thumb(kPc + 8 + 4 * 0x3100));  // ldr pc, [pc, r3, lsl #2]
  EXPECT_EQ(arm(0xe8bd8010), in_thumb(0xd100 + 4));            // pop {r4, pc}
  EXPECT_EQ(arm(0xe8108002), in_thumb(0x100));                 // ldmda r0, {r1, pc}
  EXPECT_EQ(arm(0xe9908006), in_thumb(0x100 + 12));            // ldmib r0, {r1, r2, pc}
  EXPECT_EQ(arm(0x979ff103, kCarry), in_arm(kPc + 4));         // ldrls, carry and not zero
  EXPECT_EQ(arm(0x979ff103), in_thumb(kPc + 8 + 4 * 0x3100));  // ldrls
  EXPECT_EQ(next_address(0xe8bd8010, registers(0), {&no_memory}), std::nullopt);
}

TEST(Armv7NextAddress, ThumbBranches) {
  EXPECT_EQ(thumb(0xe07e), in_thumb(kPc + 0x100));              // b
  EXPECT_EQ(thumb(0xd0ee), in_thumb(kPc + 2));                  // beq, not taken
  EXPECT_EQ(thumb(0xd0ee, kZero), in_thumb(kPc - 0x20));        // beq, taken
  EXPECT_EQ(thumb(0xf00187fe, kZero), in_thumb(kPc + 0x2000));  // beq.w
  EXPECT_EQ(thumb(0xf00187fe), in_thumb(kPc + 4));
  EXPECT_EQ(thumb(0xf003bffe), in_thumb(kPc + 0x4000));  // b.w
  EXPECT_EQ(thumb(0xf7fbfffe), in_thumb(kPc - 0x4000));  // bl
  EXPECT_EQ(thumb(0xf7ffeff6), in_arm(kPc - 0x10));      // blx
  EXPECT_EQ(thumb(0x4708), in_arm(0x1100));              // bx r1
  EXPECT_EQ(thumb(0xb172), in_thumb(kPc + 2));           // cbz r2
  EXPECT_EQ(thumb(0xb972), in_thumb(kPc + 0x20));        // cbnz r2
  EXPECT_EQ(thumb(0x449f), in_thumb(kPc + 4 + 0x3100));  // add pc, r3
  EXPECT_EQ(thumb(0x469f), in_thumb(0x3100));            // mov pc, r3
}

TEST(Armv7NextAddress, ThumbLoadsOfThePc) {
  EXPECT_EQ(thumb(0xbd10), in_thumb(0xd100 + 4));              // pop {r4, pc}
  EXPECT_EQ(thumb(0xe8bd8110), in_thumb(0xd100 + 8));          // ldmia.w sp!, {r4, r8, pc}
  EXPECT_EQ(thumb(0xe9108002), in_thumb(0x100 - 4));           // ldmdb r0, {r1, pc}
  EXPECT_EQ(thumb(0xf8d0f008), in_thumb(0x100 + 8));           // ldr.w pc, [r0, #8]
  EXPECT_EQ(thumb(0xf850fc08), in_thumb(0x100 - 8));           // ldr.w pc, [r0, #-8]
  EXPECT_EQ(thumb(0xf850fb04), in_thumb(0x100));               // ldr.w pc, [r0], #4
  EXPECT_EQ(thumb(0xf850f021), in_thumb(0x100 + 4 * 0x1100));  // ldr.w pc, [r0, r1, lsl #2]
  EXPECT_EQ(thumb(0xf8dff010), in_thumb(kPc + 4 + 16));        // ldr.w pc, [pc, #16]
  EXPECT_EQ(thumb(0xe8d0f001), in_thumb(kPc + 4));             // tbb [r0, r1]: entry 0x1200 & 0x7f
  EXPECT_EQ(thumb(0xe8dff001), in_thumb(kPc + 4 + 2 * 4));     // tbb [pc, r1]
  EXPECT_EQ(thumb(0xe8d0f011), in_thumb(kPc + 4 + 2 * 0x2300));  // tbh [r0, r1, lsl #1]
}

TEST(Armv7NextAddress, ThumbInstructionsHaveTheirOwnLengths) {
  EXPECT_EQ(thumb(0x6001), in_thumb(kPc + 2));      // str r1, [r0]
  EXPECT_EQ(thumb(0xf8c01004), in_thumb(kPc + 4));  // str.w r1, [r0, #4]
}

TEST(Armv7NextAddress, AnItBlockSkipsWhatItsConditionSays) {
  // ITSTATE 0000'1000 is "eq", the last of its block: cpsr[15:10] has its upper six bits.
  constexpr std::uint32_t kLastOfItEq = 0b000010U << 10;
  EXPECT_EQ(thumb(0x4708, kLastOfItEq), in_thumb(kPc + 2));
  EXPECT_EQ(thumb(0x4708, kLastOfItEq | kZero), in_arm(0x1100));
}

TEST(Armv7Exclusives, StoresTellWhereTheirStatusGoes) {
  EXPECT_EQ(exclusive_store_status(0xe1826f91, false), 6U);  // strex
  EXPECT_EQ(exclusive_store_status(0xe1a26f90, false), 6U);  // strexd
  EXPECT_EQ(exclusive_store_status(0xe8421600, true), 6U);   // strex
  EXPECT_EQ(exclusive_store_status(0xe8c21f56, true), 6U);   // strexh
  EXPECT_EQ(exclusive_store_status(0xe8c20176, true), 6U);   // strexd
  EXPECT_EQ(exclusive_store_status(0xe9c01200, true), std::nullopt) << "strd";
  EXPECT_EQ(exclusive_store_status(0xe1921f9f, false), std::nullopt) << "ldrex";
  EXPECT_EQ(exclusive_store_status(0xe1020091, false), std::nullopt) << "swp";
}

TEST(Armv7Exclusives, LoadsAreKnown) {
  EXPECT_TRUE(is_exclusive_load(0xe1921f9f, false));  // ldrex
  EXPECT_TRUE(is_exclusive_load(0xe1d21f9f, false));  // ldrexb
  EXPECT_TRUE(is_exclusive_load(0xe8521f00, true));   // ldrex
  EXPECT_TRUE(is_exclusive_load(0xe8d2017f, true));   // ldrexd
  EXPECT_FALSE(is_exclusive_load(0xe8d0f001, true)) << "tbb";
  EXPECT_FALSE(is_exclusive_load(0xe1826f91, false)) << "strex";
}

}  // namespace
}  // namespace trapline::instructions::armv7
