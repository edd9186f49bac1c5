#include "instructions/arm64/memory_access.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace trapline::instructions::arm64 {
namespace {

// Encodings are those of GNU as; the names are its disassembly. Written out, what an instruction
// does: "w 8x1 [x2+8] = x1" writes one element of 8 bytes.
std::string describe(std::uint32_t instruction) {
  const auto access = memory_access(instruction);
  if (!access) return "none";
  std::string text = access->reads && access->writes ? "rw " : access->reads ? "r " : "w ";
  text += std::to_string(access->size.value) + "x" + std::to_string(access->count) + " [";
  text += access->base ? "x" + std::to_string(*access->base) : "pc";
  if (access->index) {
    constexpr std::array kExtensions{"", ".u32", ".s32"};
    text += "+x" + std::to_string(*access->index);
    text += kExtensions[static_cast<std::size_t>(access->extension)];
    text += "<<" + std::to_string(access->shift);
  }
  if (access->displacement != 0) text += "+" + std::to_string(access->displacement);
  text += access->is_block ? "]!" : "]";
  constexpr std::array kSources{"", " =", " +=", " &~=", " ^=", " |=", " = 0", " ?="};
  text += kSources[static_cast<std::size_t>(access->from)];
  if (access->from == StoredFrom::unknown || access->from == StoredFrom::zero) return text;
  for (std::size_t i = 0; i < access->count; ++i) text += " x" + std::to_string(access->sources[i]);
  if (access->from == StoredFrom::registers_if_equal)
    text += " if x" + std::to_string(access->expected);
  return access->may_fail ? text + "?" : text;
}

struct Case {
  const char* name;
  std::uint32_t instruction;
  const char* expected;
};

void check(const std::vector<Case>& cases) {
  for (const Case& one : cases) EXPECT_EQ(describe(one.instruction), one.expected) << one.name;
}

TEST(Arm64MemoryAccess, StoresOfOneRegister) {
  check({
      {"str x1, [x2]", 0xf9000041, "w 8x1 [x2] = x1"},
      {"str w1, [x2, #12]", 0xb9000c41, "w 4x1 [x2+12] = x1"},
      {"strb w1, [x2, #-3]!", 0x381fdc41, "w 1x1 [x2+-3] = x1"},
      {"strh w1, [x2], #6", 0x78006441, "w 2x1 [x2] = x1"},
      {"stur x1, [x2, #-7]", 0xf81f9041, "w 8x1 [x2+-7] = x1"},
      {"str x1, [x2, x3, lsl #3]", 0xf8237841, "w 8x1 [x2+x3<<3] = x1"},
      {"str w1, [x2, w3, sxtw #2]", 0xb823d841, "w 4x1 [x2+x3.s32<<2] = x1"},
      {"strb w1, [x2, w3, uxtw]", 0x38234841, "w 1x1 [x2+x3.u32<<0] = x1"},
      {"stlr x1, [x2]", 0xc89ffc41, "w 8x1 [x2] = x1"},
      {"stlur w1, [x2, #-4]", 0x991fc041, "w 4x1 [x2+-4] = x1"},
  });
}

TEST(Arm64MemoryAccess, StoresOfTwoRegisters) {
  check({
      {"stp x1, x3, [sp, #-32]!", 0xa9be0fe1, "w 8x2 [x31+-32] = x1 x3"},
      {"stp w1, w3, [x2, #8]", 0x29010c41, "w 4x2 [x2+8] = x1 x3"},
  });
}

TEST(Arm64MemoryAccess, ExclusiveStoresMayFail) {
  check({
      {"stxr w5, x1, [x2]", 0xc8057c41, "w 8x1 [x2] = x1?"},
      {"stlxp w5, x1, x3, [x2]", 0xc8258c41, "w 8x2 [x2] = x1 x3?"},
  });
}

TEST(Arm64MemoryAccess, VectorStoresHaveNoValue) {
  check({
      {"str q1, [x2, #16]", 0x3d800441, "w 16x1 [x2+16]"},
      {"str d1, [x2, #8]", 0xfd000441, "w 8x1 [x2+8]"},
      {"str s1, [x2]", 0xbd000041, "w 4x1 [x2]"},
      {"str b1, [x2]", 0x3d000041, "w 1x1 [x2]"},
      {"stp q0, q1, [x2], #32", 0xac810440, "w 16x2 [x2]"},
      {"st1 {v0.16b-v3.16b}, [x2]", 0x4c002040, "w 16x4 [x2]"},
      {"st4 {v0.8b-v3.8b}, [x2]", 0x0c000040, "w 8x4 [x2]"},
      {"st1 {v0.s}[1], [x2]", 0x0d009040, "w 4x1 [x2]"},
      {"st2 {v0.d, v1.d}[1], [x2]", 0x4d208440, "w 8x2 [x2]"},
  });
}

TEST(Arm64MemoryAccess, Loads) {
  check({
      {"ldr x1, [x2, #8]", 0xf9400441, "r 8x1 [x2+8]"},
      {"ldrsw x1, [x2]", 0xb9800041, "r 4x1 [x2]"},
      {"ldr x1, .+0x40", 0x58000201, "r 8x1 [pc+64]"},
      {"ldr q1, [x2]", 0x3dc00041, "r 16x1 [x2]"},
      {"ldp x1, x3, [x2]", 0xa9400c41, "r 8x2 [x2]"},
      {"ldpsw x1, x3, [x2, #-8]", 0x697f0c41, "r 4x2 [x2+-8]"},
      {"ldxr x1, [x2]", 0xc85f7c41, "r 8x1 [x2]"},
      {"ldapr x1, [x2]", 0xf8bfc041, "r 8x1 [x2]"},
      {"ldapur w1, [x2, #4]", 0x99404041, "r 4x1 [x2+4]"},
      {"ldraa x1, [x2, #16]", 0xf8202441, "r 8x1 [x2+16]"},
      {"ld1 {v0.8b}, [x2]", 0x0c407040, "r 8x1 [x2]"},
      {"ld1r {v0.4h}, [x2]", 0x0d40c440, "r 2x1 [x2]"},
  });
}

TEST(Arm64MemoryAccess, AtomicsReadAndWrite) {
  check({
      {"ldadd w1, w3, [x2]", 0xb8210043, "rw 4x1 [x2] += x1"},
      {"ldclr x1, x3, [x2]", 0xf8211043, "rw 8x1 [x2] &~= x1"},
      {"ldeor x1, x3, [x2]", 0xf8212043, "rw 8x1 [x2] ^= x1"},
      {"ldset x1, x3, [x2]", 0xf8213043, "rw 8x1 [x2] |= x1"},
      {"ldsmax x1, x3, [x2]", 0xf8214043, "rw 8x1 [x2]"},
      {"swp w1, w3, [x2]", 0xb8218043, "rw 4x1 [x2] = x1"},
      {"cas x1, x3, [x2]", 0xc8a17c43, "rw 8x1 [x2] ?= x3 if x1"},
      {"casalb w1, wzr, [x2]", 0x08e1fc5f, "rw 1x1 [x2] ?= x31 if x1"},
      {"casp x0, x1, x2, x3, [x4]", 0x48207c82, "rw 8x2 [x4]"},
  });
}

TEST(Arm64MemoryAccess, ZeroingABlockWritesZeros) {
  check({{"dc zva, x4", 0xd50b7424, "w 64x1 [x4]! = 0"}});
}

TEST(Arm64MemoryAccess, WhatTouchesNoDataIsNone) {
  check({
      {"add x1, x2, x3", 0x8b030041, "none"},
      {"ret", 0xd65f03c0, "none"},
      {"prfm pldl1keep, [x2]", 0xf9800040, "none"},
      {"stg x1, [x2]", 0xd9200841, "none"},
  });
}

}  // namespace
}  // namespace trapline::instructions::arm64
