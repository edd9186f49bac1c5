#include "trapline/watch/slot_table.h"

#include <gtest/gtest.h>

#include <vector>

namespace trapline {
namespace {

Plan plan_for(std::uint64_t address, std::uint64_t length, Access access = Access::write,
              const DebugArchitecture& machine = x86_64_debug_architecture()) {
  return make_plan({RemoteAddress(address), ByteCount{length}, access}, machine).value();
}

class X86SlotTable : public ::testing::Test {
 protected:
  SlotTable table_{x86_64_debug_architecture()};
};

TEST_F(X86SlotTable, ReservesAPlanSlotBySlot) {
  const Plan plan = plan_for(0x1001, 4);
  const auto reservation = table_.reserve(plan);
  ASSERT_TRUE(reservation.has_value());
  ASSERT_EQ(reservation->registers().size(), 3U);
  for (std::size_t index = 0; index < 3; ++index) {
    EXPECT_EQ(table_.at(reservation->registers()[index], false), plan.slots()[index]);
  }
  EXPECT_EQ(table_.free_slots(false), 1U);
}

TEST_F(X86SlotTable, FullTableRejectsAndKeepsOldSlots) {
  const Plan first = plan_for(0x1000, 24);
  ASSERT_TRUE(table_.reserve(first).has_value());
  const auto second = table_.reserve(plan_for(0x2001, 4));
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::no_free_slot);
  EXPECT_EQ(table_.free_slots(false), 1U) << "a part of the refused plan was kept";
  for (std::uint8_t index = 0; index < 3; ++index)
    EXPECT_EQ(table_.at(SlotIndex{index}, false), first.slots()[index]);
}

TEST_F(X86SlotTable, ReleaseFreesExactlyWhatWasReserved) {
  const Plan first = plan_for(0x1000, 8);
  const Plan second = plan_for(0x2000, 16);
  const auto kept = table_.reserve(first);
  const auto freed = table_.reserve(second);
  ASSERT_TRUE(kept && freed);
  EXPECT_TRUE(table_.release(*freed, second).has_value());
  EXPECT_EQ(table_.free_slots(false), 3U);
  EXPECT_EQ(table_.at(kept->registers()[0], false), first.slots()[0]);
}

TEST_F(X86SlotTable, SecondReleaseIsRefused) {
  const Plan plan = plan_for(0x1000, 8);
  const auto reservation = table_.reserve(plan);
  ASSERT_TRUE(reservation && table_.release(*reservation, plan));
  EXPECT_EQ(table_.release(*reservation, plan).error().code, ErrorCode::not_reserved);
}

TEST_F(X86SlotTable, ReleaseOfAnothersSlotIsRefusedAndChangesNothing) {
  const Plan mine = plan_for(0x1000, 8);
  const auto reservation = table_.reserve(mine);
  ASSERT_TRUE(reservation.has_value());
  EXPECT_EQ(table_.release(*reservation, plan_for(0x3000, 8)).error().code,
            ErrorCode::not_reserved);
  EXPECT_EQ(table_.release(*reservation, plan_for(0x1000, 16)).error().code,
            ErrorCode::not_reserved);
  EXPECT_EQ(table_.free_slots(false), 3U);
}

TEST_F(X86SlotTable, AddressZeroIsAnAddress) {
  const Plan plan = plan_for(0, 1);
  const auto reservation = table_.reserve(plan);
  ASSERT_TRUE(reservation.has_value());
  EXPECT_EQ(table_.free_slots(false), 3U);
  EXPECT_EQ(table_.at(reservation->registers()[0], false), plan.slots()[0]);
}

TEST_F(X86SlotTable, TheSameBytesCanBeWatchedTwice) {
  const Plan plan = plan_for(0x1000, 8);
  const auto first = table_.reserve(plan);
  const auto second = table_.reserve(plan);
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->registers()[0], second->registers()[0]);
}

TEST_F(X86SlotTable, ExcludedRegistersArePassedOver) {
  ASSERT_TRUE(table_.exclude(SlotIndex{0}, false).has_value());
  const auto reservation = table_.reserve(plan_for(0x1000, 24));
  ASSERT_TRUE(reservation.has_value());
  EXPECT_EQ(reservation->registers()[0], SlotIndex{1});
  EXPECT_EQ(table_.exclude(SlotIndex{1}, false).error().code, ErrorCode::no_free_slot);
  EXPECT_EQ(table_.exclude(SlotIndex{4}, false).error().code, ErrorCode::bad_length);
}

TEST_F(X86SlotTable, CodeAndDataShareThePool) {
  ASSERT_TRUE(table_.reserve(plan_for(0x401000, 0, Access::execute)).has_value());
  EXPECT_EQ(table_.free_slots(false), 3U);
  EXPECT_EQ(table_.free_slots(true), 3U);
  EXPECT_FALSE(table_.reserve(plan_for(0x1000, 32)).has_value());
}

TEST(ArmSlotTable, CodeAndDataAreApart) {
  const DebugArchitecture machine = arm64_debug_architecture(6, 4);
  SlotTable table(machine);
  ASSERT_TRUE(table.reserve(plan_for(0x401000, 0, Access::execute, machine)).has_value());
  EXPECT_EQ(table.free_slots(true), 5U);
  EXPECT_EQ(table.free_slots(false), 4U);
}

}  // namespace
}  // namespace trapline
