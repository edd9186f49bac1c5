#include "trapline/watch/plan.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <map>
#include <vector>

namespace trapline {
namespace {

DebugArchitecture arm64() {
  return arm64_debug_architecture(6, 4);
}

std::vector<SlotRequest> slots_of(const Request& request, const DebugArchitecture& machine) {
  const auto plan = make_plan(request, machine);
  EXPECT_TRUE(plan.has_value()) << (plan ? "" : name_of(plan.error().code));
  if (!plan) return {};
  return {plan->slots().begin(), plan->slots().end()};
}

ErrorCode error_of(const Request& request, const DebugArchitecture& machine) {
  const auto plan = make_plan(request, machine);
  EXPECT_FALSE(plan.has_value());
  return plan ? ErrorCode{} : plan.error().code;
}

Request writes(std::uint64_t address, std::uint64_t length) {
  return {RemoteAddress(address), ByteCount{length}, Access::write};
}

// The fewest legal pieces that cover [address, address + length) exactly, by trying all ways;
// memoised on (address, length).
class Reference {
 public:
  explicit Reference(const DebugArchitecture& machine) : machine_(machine) {}

  std::size_t fewest(std::uint64_t address, std::uint64_t length) {
    if (length == 0) return 0;
    const auto [entry, is_new] =
        known_.try_emplace({address % machine_.max_data_length.value, length}, 0);
    if (!is_new) return entry->second;
    std::size_t best = std::numeric_limits<std::size_t>::max();
    for (std::uint64_t piece = 1; piece <= length && piece <= machine_.max_data_length.value;
         ++piece) {
      if (is_legal(address, piece))
        best = std::min(best, 1 + fewest(address + piece, length - piece));
    }
    return known_[{address % machine_.max_data_length.value, length}] = best;
  }

  [[nodiscard]] bool is_legal(std::uint64_t address, std::uint64_t piece) const {
    if (machine_.addressing == DataAddressing::byte_select) {
      return address / machine_.max_data_length.value ==
             (address + piece - 1) / machine_.max_data_length.value;
    }
    return std::has_single_bit(piece) && address % piece == 0;
  }

 private:
  DebugArchitecture machine_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::size_t> known_;
};

void expect_same_as_reference(const DebugArchitecture& machine) {
  Reference reference(machine);
  constexpr std::uint64_t kBase = 0x7000;
  for (std::uint64_t offset = 0; offset < 16; ++offset) {
    for (std::uint64_t length = 1; length <= 40; ++length) {
      const std::size_t fewest = reference.fewest(kBase + offset, length);
      const auto plan = make_plan(writes(kBase + offset, length), machine);
      ASSERT_EQ(plan.has_value(), fewest <= machine.data_slots) << offset << "+" << length;
      if (!plan) {
        EXPECT_EQ(plan.error().code, ErrorCode::range_too_long);
        continue;
      }
      EXPECT_EQ(plan->slots().size(), fewest) << offset << "+" << length;
      RemoteAddress next(kBase + offset);
      for (const SlotRequest& slot : plan->slots()) {
        EXPECT_EQ(slot.address, next) << "a gap or an overlap";
        EXPECT_TRUE(reference.is_legal(slot.address.value(), slot.length.value));
        next = slot.address + slot.length;
      }
      EXPECT_EQ(next, RemoteAddress(kBase + offset + length)) << "wider or narrower than asked";
    }
  }
}

TEST(Plan, CoversExactlyWithTheFewestSlotsOnX86) {
  expect_same_as_reference(x86_64_debug_architecture());
}

TEST(Plan, CoversExactlyWithTheFewestSlotsOnArm64) {
  expect_same_as_reference(arm64());
}

TEST(Plan, CoversExactlyWithTheFewestSlotsOnArmv7WithAWordWindow) {
  expect_same_as_reference(armv7_debug_architecture(6, 2, ByteCount{4}, {Access::write}));
}

TEST(Plan, AlignedWordIsOneSlot) {
  EXPECT_EQ(slots_of(writes(0x1000, 4), x86_64_debug_architecture()),
            (std::vector<SlotRequest>{{RemoteAddress(0x1000), ByteCount{4}, Access::write}}));
}

TEST(Plan, RangeAcrossADoublewordIsSplitOnArm64) {
  // Linux accepts offset 6, length 4 and silently watches two bytes.
  EXPECT_EQ(slots_of(writes(0x1006, 4), arm64()),
            (std::vector<SlotRequest>{{RemoteAddress(0x1006), ByteCount{2}, Access::write},
                                      {RemoteAddress(0x1008), ByteCount{2}, Access::write}}));
}

TEST(Plan, ExecuteIsOneCodeSlotOfTheArchitecturesLength) {
  const Request request{RemoteAddress(0x401001), ByteCount{0}, Access::execute};
  EXPECT_EQ(slots_of(request, x86_64_debug_architecture()),
            (std::vector<SlotRequest>{{RemoteAddress(0x401001), ByteCount{8}, Access::execute}}));
}

TEST(Plan, ReadAloneDoesNotExistOnX86) {
  EXPECT_EQ(
      error_of({RemoteAddress(0x1000), ByteCount{4}, Access::read}, x86_64_debug_architecture()),
      ErrorCode::access_unsupported);
  EXPECT_TRUE(make_plan({RemoteAddress(0x1000), ByteCount{4}, Access::read}, arm64()).has_value());
}

TEST(Plan, EmptyRangeIsRefused) {
  EXPECT_EQ(error_of(writes(0x1000, 0), x86_64_debug_architecture()), ErrorCode::empty_range);
}

TEST(Plan, RangeThatWrapsIsRefusedAndTheLastByteIsNot) {
  constexpr std::uint64_t kTop = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(error_of(writes(kTop - 3, 5), x86_64_debug_architecture()), ErrorCode::range_wraps);
  EXPECT_EQ(slots_of(writes(kTop - 3, 4), x86_64_debug_architecture()).size(), 1U);
}

TEST(Plan, TooLongARangeTellsHowLongItMayBe) {
  const DebugArchitecture x86 = x86_64_debug_architecture();
  EXPECT_EQ(error_of(writes(0x1000, 64), x86), ErrorCode::range_too_long);
  EXPECT_EQ(longest_plannable(writes(0x1000, 64), x86), ByteCount{32});
  EXPECT_EQ(longest_plannable(writes(0x1001, 64), x86), ByteCount{15});
  // 29 bytes need five slots although 32 need four; the answer is a length that works.
  EXPECT_EQ(longest_plannable(writes(0x1000, 29), x86), ByteCount{28});
  EXPECT_TRUE(make_plan(writes(0x1000, 28), x86).has_value());
}

TEST(Plan, MachineWithoutSlotsCanPlanNothing) {
  DebugArchitecture none = x86_64_debug_architecture();
  none.data_slots = 0;
  none.code_slots = 0;
  EXPECT_EQ(error_of(writes(0x1000, 1), none), ErrorCode::range_too_long);
  EXPECT_EQ(longest_plannable(writes(0x1000, 1), none), ByteCount{0});
  EXPECT_EQ(error_of({RemoteAddress(0x1000), ByteCount{1}, Access::execute}, none),
            ErrorCode::range_too_long);
}

}  // namespace
}  // namespace trapline
