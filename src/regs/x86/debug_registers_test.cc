#include "regs/x86/debug_registers.h"

#include <gtest/gtest.h>

#include <vector>

namespace trapline::regs::x86 {
namespace {

Slot data(std::uint64_t address, std::uint64_t length, Access access = Access::write) {
  return {RemoteAddress(address), ByteCount{length}, access};
}

std::uint64_t dr7_with(std::uint8_t index, const Slot& slot) {
  DebugRegisters registers;
  EXPECT_TRUE(registers.set(SlotIndex{index}, slot).has_value());
  return registers.dr7();
}

TEST(Dr7, FieldsLieWhereFigure17Dash1PutsThem) {
  // L0 | R/W0 = 01 (bits 16-17) | LEN0 = 11 (bits 18-19), with bit 10 fixed.
  EXPECT_EQ(dr7_with(0, data(0x1000, 4)), 0x000d'0401U);
  // L1 is bit 2; slot 1's control bits begin at 20; LEN 10 is eight bytes.
  EXPECT_EQ(dr7_with(1, data(0x1000, 8)), 0x0090'0404U);
  // L2 is bit 4; R/W 11 is read or write; LEN 01 is two bytes.
  EXPECT_EQ(dr7_with(2, data(0x1000, 2, Access::read_write)), 0x0700'0410U);
  // L3 is bit 6; execute is 0000.
  EXPECT_EQ(dr7_with(3, data(0x1001, 1, Access::execute)), 0x0000'0440U);
}

TEST(Dr7, EverySlotKindAndLengthReadsBackAsWritten) {
  for (std::uint8_t index = 0; index < kSlots; ++index) {
    for (const Access access : {Access::write, Access::read_write}) {
      for (const std::uint64_t length : {1U, 2U, 4U, 8U}) {
        DebugRegisters registers;
        const Slot slot = data(0x7fff'1000, length, access);
        ASSERT_TRUE(registers.set(SlotIndex{index}, slot).has_value());
        EXPECT_EQ(registers.get(SlotIndex{index}), slot);
        EXPECT_EQ(registers.address(SlotIndex{index}), 0x7fff'1000U);
        registers.clear(SlotIndex{index});
        EXPECT_EQ(registers, DebugRegisters());
      }
    }
  }
}

TEST(Dr7, SettingOneSlotLeavesTheOthers) {
  DebugRegisters registers;
  ASSERT_TRUE(registers.set(SlotIndex{0}, data(0x1000, 4)).has_value());
  ASSERT_TRUE(registers.set(SlotIndex{3}, data(0x2000, 8, Access::read_write)).has_value());
  ASSERT_TRUE(registers.set(SlotIndex{0}, data(0x3000, 1)).has_value()) << "overwriting is allowed";
  EXPECT_EQ(registers.get(SlotIndex{0}), data(0x3000, 1));
  EXPECT_EQ(registers.get(SlotIndex{3}), data(0x2000, 8, Access::read_write));
  EXPECT_EQ(registers.get(SlotIndex{1}), std::nullopt);
}

TEST(Dr7, RefusedSlotChangesNothing) {
  DebugRegisters registers;
  ASSERT_TRUE(registers.set(SlotIndex{1}, data(0x1000, 4)).has_value());
  const DebugRegisters before = registers;
  EXPECT_EQ(registers.set(SlotIndex{1}, data(0x1002, 4)).error().code, ErrorCode::misaligned);
  EXPECT_EQ(registers.set(SlotIndex{1}, data(0x1000, 3)).error().code, ErrorCode::bad_length);
  EXPECT_EQ(registers.set(SlotIndex{1}, data(0x1000, 4, Access::read)).error().code,
            ErrorCode::access_unsupported);
  EXPECT_EQ(registers.set(SlotIndex{1}, data(0x1000, 8, Access::execute)).error().code,
            ErrorCode::bad_length);
  EXPECT_EQ(registers.set(SlotIndex{4}, data(0x1000, 4)).error().code, ErrorCode::bad_length);
  EXPECT_EQ(registers, before);
}

TEST(Dr7, UnusedBitsOfAnExistingValueAreKept) {
  constexpr std::uint64_t kGeneralDetect = std::uint64_t{1} << 13;
  DebugRegisters registers({}, DebugRegisters::kDr7Fixed | kGeneralDetect);
  ASSERT_TRUE(registers.set(SlotIndex{0}, data(0, 1)).has_value()) << "address zero is an address";
  EXPECT_NE(registers.dr7() & kGeneralDetect, 0U);
  EXPECT_EQ(registers.get(SlotIndex{0}), data(0, 1));
}

TEST(Dr7, GloballyEnabledSlotAndIoEncodingAreUnderstood) {
  // G0 alone; then R/W0 = 10, which watches an I/O port.
  EXPECT_EQ(DebugRegisters({0x1000}, 0x000d'0402).get(SlotIndex{0}), data(0x1000, 4));
  EXPECT_EQ(DebugRegisters({0x60}, 0x0002'0401).get(SlotIndex{0}), std::nullopt);
}

TEST(Dr6, StatusBitsAreNamed) {
  const Dr6 status = Dr6::decode(0xffff'0ff0 | 0b1010 | 1U << 14);
  EXPECT_EQ(status.hit, (std::array<bool, kSlots>{false, true, false, true}));
  EXPECT_TRUE(status.single_step);
  EXPECT_FALSE(status.register_access);
  EXPECT_FALSE(status.task_switch);
  EXPECT_TRUE(Dr6::decode(1U << 13).register_access);
  EXPECT_TRUE(Dr6::decode(1U << 15).task_switch);
}

}  // namespace
}  // namespace trapline::regs::x86
