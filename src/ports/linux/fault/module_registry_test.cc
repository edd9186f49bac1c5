#include "ports/linux/fault/module_registry.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace trapline::linux_port {
namespace {

using fault::ExceptionEntry;

// A table of made-up instructions, `stride` apart from `first` on, stored backwards unless
// `is_sorted`.
class MadeUpTable {
 public:
  MadeUpTable(std::size_t count, std::uintptr_t first, bool is_sorted = false, unsigned stride = 4)
      : entries_(count), first_(first), stride_(stride) {
    for (std::size_t i = 0; i < count; ++i) {
      set(entries_[is_sorted ? i : count - 1 - i], instruction(i));
    }
  }
  [[nodiscard]] std::span<const ExceptionEntry> entries() const { return entries_; }
  // Relative to the memory of the entries, since distances have 32 bits.
  [[nodiscard]] std::uintptr_t instruction(std::size_t index) const {
    return reinterpret_cast<std::uintptr_t>(entries_.data()) + first_ + index * stride_;
  }

 private:
  static void set(ExceptionEntry& entry, std::uintptr_t instruction) {
    entry.instruction_distance = static_cast<std::int32_t>(
        instruction - reinterpret_cast<std::uintptr_t>(&entry.instruction_distance));
    entry.fixup_distance = 0;
    entry.guards = TRAPLINE_GUARD_READ;
  }
  std::vector<ExceptionEntry> entries_;
  std::uintptr_t first_;
  unsigned stride_;
};

TEST(ModuleRegistry, FindsEntriesOfEveryTableUntilItIsRemoved) {
  ModuleRegistry registry;
  const MadeUpTable a(100, 0x100000);
  const MadeUpTable b(1, 0x200000, true);
  ASSERT_TRUE(registry.add(a.entries()));
  ASSERT_TRUE(registry.add(b.entries()));
  EXPECT_EQ(registry.module_count(), 2U);
  for (std::size_t i = 0; i < 100; ++i) {
    ASSERT_NE(registry.find_entry(a.instruction(i)), nullptr);
    EXPECT_EQ(registry.find_entry(a.instruction(i))->instruction(), a.instruction(i));
    EXPECT_EQ(registry.find_entry(a.instruction(i) + 1), nullptr);
  }
  EXPECT_NE(registry.find_entry(b.instruction(0)), nullptr);
  EXPECT_TRUE(registry.remove(a.entries().data()));
  EXPECT_EQ(registry.find_entry(a.instruction(0)), nullptr);
  EXPECT_NE(registry.find_entry(b.instruction(0)), nullptr);
  EXPECT_EQ(registry.module_count(), 1U);
  EXPECT_TRUE(registry.remove(b.entries().data()));
}

// Every file of a module that includes the header registers it.
TEST(ModuleRegistry, SameTableIsThereOnce) {
  ModuleRegistry registry;
  const MadeUpTable table(3, 0x100000);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(registry.add(table.entries()));
  EXPECT_EQ(registry.module_count(), 1U);
  EXPECT_TRUE(registry.remove(table.entries().data()));
  EXPECT_FALSE(registry.remove(table.entries().data()));
  EXPECT_EQ(registry.module_count(), 0U);
}

TEST(ModuleRegistry, ModuleWithoutEntriesIsNothing) {
  ModuleRegistry registry;
  ASSERT_TRUE(registry.add({}));
  EXPECT_EQ(registry.module_count(), 0U);
  EXPECT_FALSE(registry.remove(nullptr));
}

TEST(ModuleRegistry, TwoEntriesForOneInstructionAreRefused) {
  ModuleRegistry registry;
  const MadeUpTable table(4, 0x100000, true, 0);
  EXPECT_EQ(registry.add(table.entries()), std::unexpected(Error{ErrorCode::duplicate}));
  EXPECT_EQ(registry.module_count(), 0U);
}

TEST(ModuleRegistry, HoldsMoreTablesThanItBeganWith) {
  ModuleRegistry registry;
  std::vector<MadeUpTable> tables;
  for (std::uintptr_t i = 0; i < 300; ++i) tables.emplace_back(3, 0x100000 + i * 0x100);
  for (const MadeUpTable& table : tables) ASSERT_TRUE(registry.add(table.entries()));
  EXPECT_EQ(registry.module_count(), 300U);
  for (const MadeUpTable& table : tables) {
    EXPECT_NE(registry.find_entry(table.instruction(2)), nullptr);
    EXPECT_TRUE(registry.remove(table.entries().data()));
  }
  // Slots are used again.
  for (const MadeUpTable& table : tables) ASSERT_TRUE(registry.add(table.entries()));
  EXPECT_EQ(registry.module_count(), 300U);
}

// A table that stays is found at every moment, while others come and go beside it.
TEST(ModuleRegistry, LookupsGoOnWhileTablesComeAndGo) {
  static ModuleRegistry registry;
  const MadeUpTable steady(50, 0x100000);
  ASSERT_TRUE(registry.add(steady.entries()));
  std::atomic<bool> ends{false};
  std::atomic<int> missed{0};
  std::vector<std::thread> threads;
  for (unsigned writer = 0; writer < 2; ++writer) {
    threads.emplace_back([&ends, writer] {
      std::vector<MadeUpTable> tables;
      for (std::uintptr_t i = 0; i < 70; ++i) {
        tables.emplace_back(5, 0x200000 + (writer * 70 + i) * 0x100);
      }
      while (!ends) {
        for (const MadeUpTable& table : tables) (void)registry.add(table.entries());
        for (const MadeUpTable& table : tables) registry.remove(table.entries().data());
      }
    });
  }
  threads.emplace_back([&] {
    for (std::size_t round = 0; round < 20'000; ++round) {
      if (registry.find_entry(steady.instruction(round % 50)) == nullptr) ++missed;
    }
    ends = true;
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(missed, 0);
  EXPECT_EQ(registry.module_count(), 1U);
}

}  // namespace
}  // namespace trapline::linux_port
