// The culprit where the trap comes before the access, on A64. Encodings are those of GNU as.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "decode/trap_before_access_fixture.h"

namespace trapline::decode {
namespace {

using testing::kData;

constexpr std::uint64_t kCode = 0x401000;
constexpr std::size_t kSp = static_cast<std::size_t>(Arm64Register::sp);

class Arm64CulpritTest : public testing::TrapBeforeAccess<UserRegisters::kCapacity> {
 protected:
  const Culprit* find(std::uint32_t instruction, const UserRegisters& registers,
                      std::uint64_t address = kData, std::uint64_t length = 4,
                      Access access = Access::write) {
    std::vector<std::uint8_t> bytes;
    for (int byte = 0; byte < 4; ++byte)
      bytes.push_back(static_cast<std::uint8_t>(instruction >> (8 * byte)));
    return find_at(RemoteAddress(kCode), bytes, registers,
                   {RemoteAddress(address), ByteCount{length}, access});
  }
};

TEST_F(Arm64CulpritTest, TheTrappedInstructionIsTheCulprit) {
  const auto registers = registers_with({{1, 0x11223344}, {2, kData}});
  const Culprit* const culprit = find(0xb9000041, registers);  // str w1, [x2]
  ASSERT_NE(culprit, nullptr);
  EXPECT_EQ(culprit->ip, RemoteAddress(kCode));
  EXPECT_EQ(culprit->text, "str w1, [x2]");
  EXPECT_TRUE(culprit->operand_checked);
  EXPECT_EQ(culprit->accessed, (AccessedBytes{RemoteAddress(kData), ByteCount{4}}));
  EXPECT_EQ(stored(registers, std::nullopt), (StoredValue{0x11223344, false}));
}

TEST_F(Arm64CulpritTest, AStoreElsewhereIsNot) {
  EXPECT_EQ(find(0xb9000041, registers_with({{2, kData + 4}})), nullptr);
  EXPECT_EQ(find(0xb9000041, registers_with({{2, kData - 4}})), nullptr);
  EXPECT_NE(find(0xb9000041, registers_with({{2, kData - 3}})), nullptr) << "one byte overlaps";
}

TEST_F(Arm64CulpritTest, WhatOnlyReadsOrTouchesNothingIsNotAWrite) {
  const auto registers = registers_with({{2, kData}});
  EXPECT_EQ(find(0xb9400041, registers), nullptr) << "ldr w1, [x2]";
  EXPECT_NE(find(0xb9400041, registers, kData, 4, Access::read), nullptr);
  EXPECT_EQ(stored(registers, 7), (StoredValue{7, true}));
  EXPECT_EQ(find(0xd503201f, registers, kData, 4, Access::read_write), nullptr) << "nop";
}

TEST_F(Arm64CulpritTest, EachRegisterOfAPairHasItsOwnBytes) {
  const auto registers = registers_with({{1, 0x1111}, {3, 0x3333}, {2, kData}});
  const Culprit* const culprit = find(0xa9000c41, registers, kData + 8, 8);  // stp x1, x3, [x2]
  ASSERT_NE(culprit, nullptr);
  EXPECT_EQ(culprit->accessed, (AccessedBytes{RemoteAddress(kData + 8), ByteCount{8}}));
  EXPECT_EQ(stored(registers, std::nullopt, kData + 8, 8), (StoredValue{0x3333, false}));
  EXPECT_EQ(stored(registers, std::nullopt, kData, 8), (StoredValue{0x1111, false}));
}

TEST_F(Arm64CulpritTest, AMovingBaseIsTakenAsItWasBefore) {
  // strb w1, [x2, #-3]! and strh w1, [x2], #6
  EXPECT_NE(find(0x381fdc41, registers_with({{2, kData + 3}}), kData, 1), nullptr);
  EXPECT_EQ(find(0x381fdc41, registers_with({{2, kData}}), kData, 1), nullptr);
  EXPECT_NE(find(0x78006441, registers_with({{2, kData}}), kData, 2), nullptr);
  EXPECT_EQ(find(0x78006441, registers_with({{2, kData - 6}}), kData, 2), nullptr);
}

TEST_F(Arm64CulpritTest, AnIndexIsExtendedAndShifted) {
  // Minus one, in the low half alone.
  const auto negative = registers_with({{2, kData + 4}, {3, 0xffffffff}});
  EXPECT_NE(find(0xb823d841, negative), nullptr) << "str w1, [x2, w3, sxtw #2]";
  const auto positive = registers_with({{2, kData - 5}, {3, 0xabcdef0100000005}});
  EXPECT_NE(find(0x38234841, positive, kData, 1), nullptr) << "strb w1, [x2, w3, uxtw]";
  EXPECT_NE(find(0xf8237841, registers_with({{2, kData - 24}, {3, 3}}), kData, 8), nullptr)
      << "str x1, [x2, x3, lsl #3]";
}

TEST_F(Arm64CulpritTest, Number31IsTheStackPointerOrZero) {
  const auto registers = registers_with({{kSp, kData - 8}, {1, 42}});
  ASSERT_NE(find(0xf90007e1, registers, kData, 8), nullptr) << "str x1, [sp, #8]";
  EXPECT_EQ(stored(registers, std::nullopt, kData, 8), (StoredValue{42, false}));
  const auto base = registers_with({{kSp, 0x1234}, {2, kData}});
  ASSERT_NE(find(0xf900005f, base, kData, 8), nullptr) << "str xzr, [x2]";
  EXPECT_EQ(stored(base, std::nullopt, kData, 8), (StoredValue{0, false}));
}

TEST_F(Arm64CulpritTest, ALiteralIsFoundFromTheInstruction) {
  // ldr x1, .+0x40
  EXPECT_NE(find(0x58000201, registers_with({}), kCode + 0x40, 8, Access::read), nullptr);
  EXPECT_EQ(find(0x58000201, registers_with({}), kCode + 0x48, 8, Access::read), nullptr);
}

TEST_F(Arm64CulpritTest, AtomicArithmeticFollowsFromTheOldValue) {
  const auto registers = registers_with({{1, 3}, {2, kData}});
  ASSERT_NE(find(0xb821005f, registers), nullptr) << "stadd w1, [x2]";
  EXPECT_EQ(stored(registers, 5), (StoredValue{8, true}));
  EXPECT_EQ(stored(registers, std::nullopt), std::nullopt);
  ASSERT_NE(find(0xb821105f, registers), nullptr) << "stclr w1, [x2]";
  EXPECT_EQ(stored(registers, 7), (StoredValue{4, true}));
  ASSERT_NE(find(0xb8218043, registers), nullptr) << "swp w1, w3, [x2]";
  EXPECT_EQ(stored(registers, 7), (StoredValue{3, false}));
}

TEST_F(Arm64CulpritTest, AComparisonIsMadeWithTheOldValue) {
  const auto registers = registers_with({{1, 0xffffffff00000003}, {2, kData}, {3, 9}});
  ASSERT_NE(find(0x88a17c43, registers), nullptr) << "cas w1, w3, [x2]";
  EXPECT_EQ(stored(registers, 3), (StoredValue{9, true}));
  EXPECT_EQ(stored(registers, 4), (StoredValue{4, true}));
  EXPECT_EQ(stored(registers, std::nullopt), std::nullopt);
  ASSERT_NE(find(0x88bf7c43, registers), nullptr) << "cas wzr, w3, [x2]";
  EXPECT_EQ(stored(registers, 0), (StoredValue{9, true}));
  ASSERT_NE(find(0x48207c44, registers_with({{2, kData}}), kData, 8), nullptr)
      << "casp x0, x1, x4, x5, [x2], of two words that are compared together";
  EXPECT_EQ(stored(registers_with({{2, kData}}), 0, kData, 8), std::nullopt);
}

// Without a text of theirs, as the disassembler has none for atomics.
TEST_F(Arm64CulpritTest, InstructionsAtOneAddressAreNotTakenForEachOther) {
  const auto registers = registers_with({{1, 3}, {2, kData}});
  ASSERT_NE(find(0xb821005f, registers), nullptr) << "stadd w1, [x2]";
  ASSERT_NE(find(0xb821305f, registers), nullptr) << "stset w1, [x2]";
  EXPECT_EQ(stored(registers, 1), (StoredValue{3, true}));
}

TEST_F(Arm64CulpritTest, StoresThatCompilersWriteAreExact) {
  const auto registers = registers_with({{1, 0x1122334455667788}, {2, kData}});
  const struct {
    std::uint32_t instruction;
    std::uint64_t length;
    std::uint64_t value;
  } cases[] = {
      {0x39000041, 1, 0x88},                // strb w1, [x2]
      {0x79000041, 2, 0x7788},              // strh w1, [x2]
      {0xb9000041, 4, 0x55667788},          // str w1, [x2]
      {0xf8000041, 8, 0x1122334455667788},  // stur x1, [x2]
      {0x889ffc41, 4, 0x55667788},          // stlr w1, [x2]
      {0x089ffc41, 1, 0x88},                // stlrb w1, [x2]
      {0xf8e18043, 8, 0x1122334455667788},  // swpal x1, x3, [x2]
  };
  for (const auto& one : cases) {
    ASSERT_NE(find(one.instruction, registers, kData, one.length), nullptr)
        << std::hex << one.instruction;
    EXPECT_EQ(stored(registers, std::nullopt, kData, one.length), (StoredValue{one.value, false}))
        << std::hex << one.instruction;
  }
}

TEST_F(Arm64CulpritTest, AStoreOfAPartLeavesTheRestAsItWas) {
  const auto registers = registers_with({{1, 0xab}, {2, kData + 1}});
  ASSERT_NE(find(0x39000041, registers, kData, 4), nullptr) << "strb w1, [x2]";
  EXPECT_EQ(stored(registers, 0x11223344), (StoredValue{0x1122ab44, true}));
  EXPECT_EQ(stored(registers, std::nullopt), std::nullopt);
}

TEST_F(Arm64CulpritTest, ValuesThatRegistersDoNotTellAreUnknown) {
  const auto registers = registers_with({{1, 3}, {2, kData}});
  // stxr w5, x1, [x2] and stlxr w5, x1, [x2], which may fail; ldsmax x1, x3, [x2]; str q1, [x2]
  for (const std::uint32_t instruction : {0xc8057c41U, 0xc805fc41U, 0xf8214043U, 0x3d800041U}) {
    ASSERT_NE(find(instruction, registers, kData, 8), nullptr) << std::hex << instruction;
    EXPECT_EQ(stored(registers, 7, kData, 8), std::nullopt) << std::hex << instruction;
  }
}

TEST_F(Arm64CulpritTest, AZeroedBlockIsFoundButNotChecked) {
  const Culprit* const culprit = find(0xd50b7424, registers_with({{4, kData}}));  // dc zva, x4
  ASSERT_NE(culprit, nullptr);
  EXPECT_FALSE(culprit->operand_checked);
}

}  // namespace
}  // namespace trapline::decode
