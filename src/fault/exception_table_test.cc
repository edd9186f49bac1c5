#include "trapline/fault/exception_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <random>
#include <vector>

namespace trapline::fault {
namespace {

// Entries for instructions at base + 16 * k, each fixup 5 behind its instruction, shuffled.
class ShuffledEntries {
 public:
  explicit ShuffledEntries(std::size_t count) : entries(count) {
    std::vector<std::size_t> places(count);
    std::iota(places.begin(), places.end(), 0U);
    std::mt19937 random(count);
    std::shuffle(places.begin(), places.end(), random);
    for (std::size_t i = 0; i < count; ++i) {
      set(entries[i], instruction(places[i]), static_cast<std::uint32_t>(places[i]) + 1);
    }
  }

  // Both before and behind the entries, as code can be.
  [[nodiscard]] std::uintptr_t instruction(std::size_t place) const {
    return reinterpret_cast<std::uintptr_t>(entries.data()) + entries.size() * 4 - 0x1000 +
           place * 16;
  }

  static void set(ExceptionEntry& entry, std::uintptr_t instruction, std::uint32_t guards) {
    entry.instruction_distance = static_cast<std::int32_t>(
        instruction - reinterpret_cast<std::uintptr_t>(&entry.instruction_distance));
    entry.fixup_distance = static_cast<std::int32_t>(
        instruction + 5 - reinterpret_cast<std::uintptr_t>(&entry.fixup_distance));
    entry.guards = guards;
  }

  void expect_all_found(const ExceptionTable& table) const {
    EXPECT_TRUE(table.is_strictly_sorted());
    for (std::size_t place = 0; place < entries.size(); ++place) {
      const ExceptionEntry* entry = table.find_entry(instruction(place));
      ASSERT_NE(entry, nullptr) << place;
      EXPECT_EQ(entry->guards, place + 1);
      EXPECT_EQ(entry->instruction(), instruction(place));
      EXPECT_EQ(entry->fixup(), instruction(place) + 5);
      EXPECT_EQ(table.find_entry(instruction(place) + 1), nullptr);
      EXPECT_EQ(table.find_entry(instruction(place) - 1), nullptr);
    }
  }

  std::vector<ExceptionEntry> entries;
};

TEST(ExceptionTable, EmptyOneFindsNothing) {
  EXPECT_EQ(ExceptionTable().find_entry(0), nullptr);
  EXPECT_TRUE(ExceptionTable().is_strictly_sorted());
}

TEST(ExceptionTable, SortingInPlaceKeepsWhatEntriesMean) {
  for (const std::size_t count : {1U, 2U, 3U, 4U, 7U, 64U, 1000U}) {
    ShuffledEntries shuffled(count);
    sort_entries(shuffled.entries);
    shuffled.expect_all_found(ExceptionTable(shuffled.entries));
  }
}

TEST(ExceptionTable, OrderStandsInForSortingReadOnlyEntries) {
  for (const std::size_t count : {1U, 2U, 3U, 4U, 7U, 64U, 1000U}) {
    const ShuffledEntries shuffled(count);
    std::vector<std::uint32_t> order(count);
    sort_order(shuffled.entries, order);
    shuffled.expect_all_found(ExceptionTable(shuffled.entries, order.data()));
  }
}

TEST(ExceptionTable, UnsortedOneAndTwoForOneInstructionAreTold) {
  const ShuffledEntries shuffled(64);
  EXPECT_FALSE(ExceptionTable(shuffled.entries).is_strictly_sorted());
  std::vector<ExceptionEntry> twins(2);
  for (ExceptionEntry& entry : twins) ShuffledEntries::set(entry, shuffled.instruction(0), 1);
  EXPECT_FALSE(ExceptionTable(twins).is_strictly_sorted());
}

TEST(ExceptionTable, TenThousandEntriesNeedAtMostFourteenProbes) {
  ShuffledEntries shuffled(10'000);
  sort_entries(shuffled.entries);
  const ExceptionTable table(shuffled.entries);
  std::uint32_t most = 0;
  for (std::size_t place = 0; place < shuffled.entries.size(); ++place) {
    for (const std::uintptr_t beside : {0U, 1U}) {
      std::uint32_t probes = 0;
      (void)table.find_entry(shuffled.instruction(place) + beside, &probes);
      most = std::max(most, probes);
    }
  }
  EXPECT_EQ(most, 14U);
}

struct FakeContext {
  std::uintptr_t pc = 0;
  std::uintptr_t word = 0xdead;
  [[nodiscard]] std::uintptr_t faulting_instruction() const { return pc; }
  void continue_at(std::uintptr_t address) { pc = address; }
  void set_fault_word(std::uintptr_t value) { word = value; }
};
static_assert(FaultContext<FakeContext>);

class FixupException : public ::testing::Test {
 protected:
  explicit FixupException(std::uint32_t guards = TRAPLINE_GUARD_READ | TRAPLINE_GUARD_FAULT_WORD)
      : entries_(1) {
    ShuffledEntries::set(entries_[0], instruction(), guards);
  }
  [[nodiscard]] std::uintptr_t instruction() const {
    return reinterpret_cast<std::uintptr_t>(entries_.data()) + 0x400;
  }
  [[nodiscard]] ExceptionTable table() const { return ExceptionTable(entries_); }

  std::vector<ExceptionEntry> entries_;
  const FaultEvent read_{FaultKind::no_permission, TRAPLINE_GUARD_READ, 0x123456};
};

TEST_F(FixupException, MovesToTheFixupAndTellsKindAndAddress) {
  FakeContext context{instruction()};
  EXPECT_TRUE(fixup_exception(table(), context, read_));
  EXPECT_EQ(context.pc, instruction() + 5);
  EXPECT_EQ(kind_of_fault(context.word), FaultKind::no_permission);
  EXPECT_EQ(context.word >> kFaultAddressShift, 0x123456U);
}

TEST_F(FixupException, WithoutTheFlagOnlyTheProgramCounterChanges) {
  ShuffledEntries::set(entries_[0], instruction(), TRAPLINE_GUARD_READ);
  FakeContext context{instruction()};
  EXPECT_TRUE(fixup_exception(table(), context, read_));
  EXPECT_EQ(context.pc, instruction() + 5);
  EXPECT_EQ(context.word, 0xdeadU);
}

TEST_F(FixupException, AnotherInstructionIsLeftAlone) {
  for (const std::uintptr_t beside : {instruction() - 1, instruction() + 1, std::uintptr_t{0}}) {
    FakeContext context{beside};
    EXPECT_FALSE(fixup_exception(table(), context, read_));
    EXPECT_EQ(context.pc, beside);
    EXPECT_EQ(context.word, 0xdeadU);
  }
}

TEST_F(FixupException, FaultOfAnotherSortIsLeftAlone) {
  const std::array<std::uint32_t, 4> others{0, TRAPLINE_GUARD_WRITE, TRAPLINE_GUARD_EXECUTE,
                                            TRAPLINE_GUARD_INSTRUCTION};
  for (const std::uint32_t attempted : others) {
    FakeContext context{instruction()};
    EXPECT_FALSE(fixup_exception(table(), context, {FaultKind::other, attempted, 0}));
    EXPECT_EQ(context.pc, instruction());
    EXPECT_EQ(context.word, 0xdeadU);
  }
}

}  // namespace
}  // namespace trapline::fault
