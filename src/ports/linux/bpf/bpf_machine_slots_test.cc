#include "ports/linux/bpf/bpf_machine_slots.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "trapline/port/debug_architecture.h"

namespace trapline::linux_port {
namespace {

// Four slots of up to 8 aligned bytes, as x86 has them.
Plan plan_of(std::uint64_t address, std::uint64_t length) {
  return make_plan(Request{RemoteAddress(address), ByteCount{length}, Access::write},
                   x86_64_debug_architecture())
      .value();
}

std::vector<trapline_slot> in_use(const BpfMachineSlots& slots) {
  std::vector<trapline_slot> found;
  std::ranges::copy_if(slots.entries(), std::back_inserter(found),
                       [](const trapline_slot& entry) { return entry.value_length != 0; });
  return found;
}

TEST(BpfMachineSlots, PlansHaveEntriesAndShadowsOfTheirOwn) {
  BpfMachineSlots slots;
  ASSERT_TRUE(slots.add(plan_of(0x1000, 4)));
  ASSERT_TRUE(slots.add(plan_of(0x2000, 4)));
  const auto entries = in_use(slots);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].address, 0x1000U);
  EXPECT_EQ(entries[1].address, 0x2000U);
  EXPECT_NE(entries[0].shadow, entries[1].shadow);
}

TEST(BpfMachineSlots, SlotsOfOneValueShareItsShadowAndEpoch) {
  BpfMachineSlots slots;
  ASSERT_TRUE(slots.add(plan_of(0x2000, 4)));
  ASSERT_TRUE(slots.add(plan_of(0x1006, 4)));  // two slots of two bytes
  const auto entries = in_use(slots);
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[1].shadow, entries[2].shadow);
  EXPECT_EQ(entries[1].epoch, entries[2].epoch);
  EXPECT_EQ(entries[2].value_address, 0x1006U);
  EXPECT_NE(entries[1].shadow, entries[0].shadow);
}

TEST(BpfMachineSlots, EntryThatIsGivenToAnotherPlanBeginsAnEpoch) {
  BpfMachineSlots slots;
  ASSERT_TRUE(slots.add(plan_of(0x1000, 8)));
  const trapline_slot before = in_use(slots).front();
  slots.remove(plan_of(0x1000, 8));
  EXPECT_TRUE(in_use(slots).empty());
  ASSERT_TRUE(slots.add(plan_of(0x2000, 8)));
  const trapline_slot after = in_use(slots).front();
  EXPECT_EQ(after.shadow, before.shadow);
  EXPECT_NE(after.epoch, before.epoch);
}

TEST(BpfMachineSlots, NoEpochHoldsWhileACpuIsNotWatched) {
  BpfMachineSlots slots;
  ASSERT_TRUE(slots.add(plan_of(0x1000, 8)));
  const std::uint32_t before = in_use(slots).front().epoch;
  EXPECT_NE(before, 0U);
  slots.forget_values(/*all_are_watched=*/false);
  ASSERT_TRUE(slots.add(plan_of(0x2000, 8)));
  for (const trapline_slot& entry : in_use(slots)) EXPECT_EQ(entry.epoch, 0U);
  slots.forget_values(/*all_are_watched=*/true);
  for (const trapline_slot& entry : in_use(slots)) {
    EXPECT_NE(entry.epoch, 0U);
    EXPECT_NE(entry.epoch, before);
  }
}

TEST(BpfMachineSlots, FullTableRefusesAndKeepsWhatItHas) {
  BpfMachineSlots slots;
  std::uint64_t address = 0x1000;
  while (slots.add(plan_of(address, 8))) address += 8;
  EXPECT_EQ(in_use(slots).size(), static_cast<std::size_t>(TRAPLINE_MAX_SLOTS));
  slots.remove(plan_of(0x1000, 8));
  EXPECT_FALSE(slots.add(plan_of(0x9000, 16)));
  EXPECT_EQ(in_use(slots).size(), static_cast<std::size_t>(TRAPLINE_MAX_SLOTS) - 1);
}

}  // namespace
}  // namespace trapline::linux_port
