// Exception tables, undefined-instruction hooks, user memory, and what is said of other faults.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "isa/armv7/handler_load.h"
#include "isa/armv7/user_access.h"
#include "ports/armv7_virt/faults.h"
#include "ports/armv7_virt/print.h"
#include "ports/armv7_virt/stacks.h"
#include "ports/armv7_virt/undef_hook.h"
#include "support.h"
#include "trapline/fault/exception_entry.h"
#include "trapline/fault/guarded_access.h"

namespace trapline::firmware::testing {
namespace {

using armv7_virt::Permission;
using fault::FaultKind;
using isa::armv7::get_user;
using isa::armv7::put_user;
using ::testing::HasSubstr;

RemoteAddress at(std::uintptr_t address) {
  return RemoteAddress(address);
}

// --- the exception table
// --------------------------------------------------------------------------

// 5 000 undefined instructions in ARM code and as many in Thumb code, each with an entry of its
// own. The function executes the one with this index; its fixup leads to what returns 1 (ARM), 2
// (Thumb).
extern "C" {
std::uint32_t trapline_many_arm(std::uint32_t index);
std::uint32_t trapline_many_thumb(std::uint32_t index);
}
asm(R"(
  .pushsection .text.trapline_many, "ax"
  .syntax unified
  .arm
  .balign 4
  .type trapline_many_arm, %function
trapline_many_arm:
  adr     r12, 1f
  add     r12, r12, r0, lsl #3
  mov     r0, #0
  bx      r12
1:
  .rept 5000
2:
  udf     #1
  b       3f
  .pushsection trapline_ex_table, "aR?"
  .long   2b - .
  .long   2b + 4 - .
  .long   8
  .popsection
  .endr
3:
  mov     r0, #1
  bx      lr
  .size trapline_many_arm, . - trapline_many_arm

  .thumb
  .balign 4
  .thumb_func
  .type trapline_many_thumb, %function
trapline_many_thumb:
  adr     r1, 1f
  add     r1, r1, r0, lsl #3
  adds    r1, r1, #1
  movs    r0, #0
  bx      r1
  .balign 4
1:
  .rept 5000
2:
  udf     #1
  nop
  b.w     3f
  .pushsection trapline_ex_table, "aR?"
  .long   2b - .
  .long   2b + 2 - .
  .long   8
  .popsection
  .endr
3:
  movs    r0, #2
  bx      lr
  .size trapline_many_thumb, . - trapline_many_thumb
  .arm
  .popsection
)");

TEST(FaultTable, FixupExceptionScansASortedTable) {
  const fault::ExceptionTable& table = armv7_virt::exception_table();
  EXPECT_GT(table.size(), 10'000U);
  EXPECT_TRUE(table.is_strictly_sorted());
  for (const std::uint32_t index : {0U, 1U, 2499U, 4998U, 4999U}) {
    EXPECT_EQ(trapline_many_arm(index), 1U);
    EXPECT_EQ(trapline_many_thumb(index), 2U);
  }
}

TEST(FaultTable, EveryEntryIsFoundAndNothingElse) {
  const fault::ExceptionTable& table = armv7_virt::exception_table();
  std::uint32_t most = 0;
  const auto find = [&](std::uintptr_t instruction) {
    std::uint32_t probes = 0;
    const auto* const found = table.find_entry(instruction, &probes);
    most = std::max(most, probes);
    return found;
  };
  for (std::size_t rank = 0; rank < table.size(); ++rank) {
    const auto& entry = table.at(rank);
    ASSERT_EQ(find(entry.instruction()), &entry);
    ASSERT_EQ(find(entry.instruction() + 1), nullptr);
  }
  EXPECT_GT(most, 0U);
  EXPECT_LE(most, 15U);
  armv7_virt::print_line("firmware: exception table of ", table.size(), " entries: ", most,
                         " probes at most, over every entry and the addresses behind them");
  EXPECT_EQ(table.find_entry(0), nullptr);
}

TEST(FaultTable, ItIsReadOnlyOnceItIsSorted) {
  const FaultsGoOn go_on;
  const PrintedText printed;
  auto* const entry = const_cast<fault::ExceptionEntry*>(&armv7_virt::exception_table().at(0));
  *reinterpret_cast<volatile std::int32_t*>(&entry->guards) = 0;
  EXPECT_EQ(FaultsGoOn::count(), 1U);
  EXPECT_THAT(printed.text(), HasSubstr("the page does not permit it"));
}

TEST(FaultTable, AFaultOfAnotherSortAtAGuardedInstructionIsReported) {
  const FaultsGoOn go_on;
  const PrintedText printed;
  std::uint32_t value = 0;
  asm volatile(TRAPLINE_GUARDED("ldr %[value], [%[from]]", 8)  // guards an undefined instruction
               : [value] "+r"(value)
               : [from] "r"(armv7_virt::kWindow));
  EXPECT_EQ(FaultsGoOn::count(), 1U);
}

// --- hooks
// ------------------------------------------------------------------------------------------

unsigned first_calls = 0;
unsigned second_calls = 0;
std::uint32_t seen_instruction = 0;

bool declines(armv7_virt::ExceptionFrame& /*frame*/, std::uint32_t /*instruction*/) {
  ++first_calls;
  return false;
}
bool emulates(armv7_virt::ExceptionFrame& frame, std::uint32_t instruction) {
  ++second_calls;
  seen_instruction = instruction;
  frame.r[0] = 42;
  frame.continue_at(frame.pc + (frame.is_thumb() && instruction <= 0xffff ? 2U : 4U));
  return true;
}

// udf #7, as r0 = emulated().
[[gnu::naked, gnu::noinline]] std::uint32_t emulated_arm() {
  asm volatile("udf #7\n\tbx lr");
}
extern "C" std::uint32_t trapline_emulated_thumb();
asm(R"(
  .pushsection .text.trapline_emulated_thumb, "ax"
  .syntax unified
  .thumb
  .thumb_func
  .type trapline_emulated_thumb, %function
trapline_emulated_thumb:
  udf     #7
  bx      lr
  .size trapline_emulated_thumb, . - trapline_emulated_thumb
  .arm
  .popsection
)");

class UndefHookTest : public ::testing::Test {
 protected:
  void SetUp() override { first_calls = second_calls = 0; }
  static constexpr std::uint32_t kArmUdf = 0xe7f000f7;
  static constexpr std::uint32_t kThumbUdf = 0xde07;
  static constexpr std::uint32_t kThumbState = 1U << 5;
};

TEST_F(UndefHookTest, TheInstructionAndTheStateAreMatched) {
  armv7_virt::UndefHook arm(0xffffffff, kArmUdf, kThumbState, 0, &emulates);
  armv7_virt::UndefHook thumb(0xffff, kThumbUdf, kThumbState, kThumbState, &emulates);
  armv7_virt::register_undef_hook(arm);
  armv7_virt::register_undef_hook(thumb);
  EXPECT_EQ(emulated_arm(), 42U);
  EXPECT_EQ(seen_instruction, kArmUdf);
  EXPECT_EQ(trapline_emulated_thumb(), 42U);
  EXPECT_EQ(seen_instruction, kThumbUdf);
  armv7_virt::unregister_undef_hook(thumb);
  armv7_virt::unregister_undef_hook(arm);
}

TEST_F(UndefHookTest, TheLastOneIsAskedFirstAndMayDecline) {
  armv7_virt::UndefHook second(0xffffffff, kArmUdf, 0, 0, &emulates);
  armv7_virt::UndefHook first(0xffffffff, kArmUdf, 0, 0, &declines);
  armv7_virt::UndefHook other(0xffffffff, kArmUdf + 1, 0, 0, &declines);
  armv7_virt::register_undef_hook(second);
  armv7_virt::register_undef_hook(second);  // stays as it is
  armv7_virt::register_undef_hook(first);
  armv7_virt::register_undef_hook(other);
  EXPECT_EQ(emulated_arm(), 42U);
  EXPECT_EQ(first_calls, 1U);
  EXPECT_EQ(second_calls, 1U);
  armv7_virt::unregister_undef_hook(second);
  armv7_virt::unregister_undef_hook(first);
  armv7_virt::unregister_undef_hook(first);  // without effect
  armv7_virt::unregister_undef_hook(other);
  const FaultsGoOn go_on;
  static_cast<void>(emulated_arm());
  EXPECT_EQ(FaultsGoOn::count(), 1U) << "they are gone";
}

TEST_F(UndefHookTest, TheExceptionTableIsAskedFirst) {
  armv7_virt::UndefHook hook(0, 0, 0, 0, &emulates);  // takes everything
  armv7_virt::register_undef_hook(hook);
  asm volatile(TRAPLINE_GUARDED("udf #3", 8));
  EXPECT_EQ(second_calls, 0U);
  armv7_virt::unregister_undef_hook(hook);
}

// --- user memory
// --------------------------------------------------------------------------------------

template <typename T>
class GetUserPutUser : public ::testing::Test {};
using UserTypes = ::testing::Types<std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t>;
TYPED_TEST_SUITE(GetUserPutUser, UserTypes);

template <typename T>
constexpr T kPattern = static_cast<T>(0x8877665544332211);

TYPED_TEST(GetUserPutUser, Good) {
  const WindowPages pages({Permission::user_read_write});
  EXPECT_TRUE(put_user(kPattern<TypeParam>, at(pages.address(0) + 16)).has_value());
  EXPECT_EQ(get_user<TypeParam>(at(pages.address(0) + 16)), kPattern<TypeParam>);
  TypeParam stored = 0;
  std::memcpy(&stored, pages.memory(0) + 16, sizeof(stored));
  EXPECT_EQ(stored, kPattern<TypeParam>);
}

TYPED_TEST(GetUserPutUser, Unmapped) {
  const auto nowhere = at(armv7_virt::kWindow + 64);
  EXPECT_EQ(get_user<TypeParam>(nowhere), std::unexpected(FaultKind::unmapped));
  EXPECT_EQ(put_user<TypeParam>(1, nowhere), std::unexpected(FaultKind::unmapped));
  EXPECT_EQ(get_user<TypeParam>(at(0)), std::unexpected(FaultKind::unmapped));
}

TYPED_TEST(GetUserPutUser, ReadOnly) {
  const WindowPages pages({Permission::user_read_only});
  std::memset(pages.memory(0), 0x5a, 16);
  EXPECT_EQ(get_user<TypeParam>(at(pages.address(0))), static_cast<TypeParam>(0x5a5a5a5a5a5a5a5a));
  EXPECT_EQ(put_user<TypeParam>(1, at(pages.address(0))),
            std::unexpected(FaultKind::no_permission));
  EXPECT_EQ(pages.memory(0)[0], 0x5a);
}

TYPED_TEST(GetUserPutUser, NotTheUsers) {
  const WindowPages pages({Permission::read_write, Permission::no_access});
  for (const std::size_t page : {0U, 1U}) {
    EXPECT_EQ(get_user<TypeParam>(at(pages.address(page))),
              std::unexpected(FaultKind::no_permission));
    EXPECT_EQ(put_user<TypeParam>(1, at(pages.address(page))),
              std::unexpected(FaultKind::no_permission));
  }
  static TypeParam kernel_word = 0;
  EXPECT_FALSE(put_user<TypeParam>(1, RemoteAddress::of_local(&kernel_word)).has_value());
  EXPECT_EQ(kernel_word, 0U);
}

TYPED_TEST(GetUserPutUser, Misaligned) {
  const WindowPages pages({Permission::user_read_write});
  for (unsigned offset = 1; offset < 8; ++offset) {
    const auto where = at(pages.address(0) + 32 + offset);
    EXPECT_TRUE(put_user(kPattern<TypeParam>, where).has_value());
    EXPECT_EQ(get_user<TypeParam>(where), kPattern<TypeParam>);
  }
}

TYPED_TEST(GetUserPutUser, Straddling) {
  const WindowPages pages({Permission::user_read_write, Permission::user_read_write, std::nullopt});
  for (std::size_t before = 1; before < sizeof(TypeParam); ++before) {
    const auto across = at(pages.address(1) - before);
    EXPECT_TRUE(put_user(kPattern<TypeParam>, across).has_value());
    EXPECT_EQ(get_user<TypeParam>(across), kPattern<TypeParam>);
    const auto off_the_end = at(pages.address(2) - before);
    EXPECT_EQ(get_user<TypeParam>(off_the_end), std::unexpected(FaultKind::unmapped));
    EXPECT_EQ(put_user(kPattern<TypeParam>, off_the_end), std::unexpected(FaultKind::unmapped));
  }
}

// What every other port has too (trapline/fault/guarded_access.h), with words that lie across
// pages.
TEST(GuardedCopy, TryCopyStopsAtThePageThatIsNotThere) {
  constexpr std::size_t kLength = 64;
  const WindowPages pages({Permission::read_write, std::nullopt});
  std::array<std::uint8_t, kLength + 8> buffer{};
  std::uint8_t* const last = pages.memory(0) + armv7_virt::kPageSize - kLength;
  for (std::size_t index = 0; index < kLength; ++index)
    last[index] = static_cast<std::uint8_t>(index + 1);
  for (std::size_t before = 0; before < kLength; ++before) {
    for (std::size_t shift = 0; shift < 4; ++shift) {
      buffer.fill(0xee);
      const auto* const from = reinterpret_cast<const void*>(pages.address(1) - before);
      const auto result = fault::try_copy(buffer.data() + shift, from, kLength);
      ASSERT_EQ(result.side, fault::CopySide::source);
      ASSERT_EQ(result.error.kind, FaultKind::unmapped);
      ASSERT_EQ(result.copied, before);
      ASSERT_EQ(std::memcmp(buffer.data() + shift, last + kLength - before, before), 0);
      ASSERT_EQ(buffer[shift + before], 0xee) << "not touched";
    }
  }
}

TEST(GuardedCopy, TryCopyWritesUpToThePageThatMayNotBeWritten) {
  constexpr std::size_t kLength = 64;
  const WindowPages pages({Permission::read_write, Permission::read_only});
  std::array<std::uint8_t, kLength + 4> buffer{};
  for (std::size_t index = 0; index < buffer.size(); ++index)
    buffer[index] = static_cast<std::uint8_t>(index + 1);
  for (std::size_t before = 0; before < kLength; ++before) {
    for (std::size_t shift = 0; shift < 4; ++shift) {
      std::memset(pages.memory(0) + armv7_virt::kPageSize - kLength, 0xee, kLength);
      std::memset(pages.memory(1), 0xdd, kLength);
      auto* const to = reinterpret_cast<void*>(pages.address(1) - before);
      const auto result = fault::try_copy(to, buffer.data() + shift, kLength);
      ASSERT_EQ(result.side, fault::CopySide::destination);
      ASSERT_EQ(result.error.kind, FaultKind::no_permission);
      ASSERT_EQ(result.copied, before);
      ASSERT_EQ(std::memcmp(to, buffer.data() + shift, before), 0);
      ASSERT_EQ(pages.memory(1)[0], 0xdd);
    }
  }
}

TEST(GuardedCopy, CopiesUpToTheFaultAndSaysHowMuch) {
  const WindowPages pages({Permission::user_read_write, std::nullopt});
  std::array<std::uint8_t, 64> buffer{};
  for (std::size_t index = 0; index < 32; ++index)
    pages.memory(0)[armv7_virt::kPageSize - 32 + index] = static_cast<std::uint8_t>(index + 1);
  const auto from = at(pages.address(1) - 32);
  EXPECT_EQ(isa::armv7::copy_from_user(buffer.data(), from, 32), 32U);
  EXPECT_EQ(buffer[31], 32);
  buffer.fill(0xee);
  EXPECT_EQ(isa::armv7::copy_from_user(buffer.data(), from + ByteCount{8}, 40), 24U);
  EXPECT_EQ(buffer[23], 32);
  EXPECT_EQ(buffer[24], 0xee) << "not touched";
  EXPECT_EQ(isa::armv7::copy_to_user(from + ByteCount{30}, buffer.data(), 40), 2U);
  EXPECT_EQ(isa::armv7::copy_to_user(at(pages.address(1)), buffer.data(), 1), 0U);
}

// --- faults that nobody deals with
// ------------------------------------------------------------------

class Report : public BoardTest {};

TEST_F(Report, ADataAbortNamesTheCpuTheCauseTheRegistersAndTheStack) {
  const FaultsGoOn go_on;
  const PrintedText printed;
  CpuThread(kCpu3, [] {
    asm volatile("ldr r1, [%[from]]" : : [from] "r"(0x6000'1230) : "r1");
  }).join();
  EXPECT_EQ(FaultsGoOn::count(), 1U);
  EXPECT_THAT(printed.text(), HasSubstr("unhandled fault on CPU 3, in its thread: data abort, load "
                                        "from 0x60001230, nothing is mapped there"));
  EXPECT_THAT(printed.text(), HasSubstr("(Supervisor mode, ARM)"));
  EXPECT_THAT(printed.text(), HasSubstr("  stack 0x"));
  EXPECT_THAT(printed.text(), HasSubstr("  called from 0x"));
}

// Nothing else is in it: it would return by the link register, had it not been saved.
[[gnu::noinline]] bool peek(std::uint32_t address) {
  std::uint32_t word = 0;
  return isa::armv7::load_in_handler(address, word);
}

TEST_F(Report, ALoadInAHandlerOfAbortsSurvivesItsOwnFault) {
  const PrintedText printed;
  static bool has_loaded;
  has_loaded = true;
  armv7_virt::set_last_resort([](armv7_virt::ExceptionFrame& frame) {
    has_loaded = peek(armv7_virt::kWindow);
    frame.continue_at(frame.pc + 4);
    return true;
  });
  asm volatile("ldr r1, [%[from]]" : : [from] "r"(0x10) : "r1");
  armv7_virt::set_last_resort(nullptr);
  EXPECT_FALSE(has_loaded);
}

TEST_F(Report, DataIsNotExecuted) {
  const FaultsGoOn go_on;
  const PrintedText printed;
  static std::uint32_t code[] = {0xe12fff1e, 0xe12fff1e};  // bx lr
  // Behind the fault lies what returns, which faults just as well: the second time it is skipped to
  // the caller.
  armv7_virt::set_last_resort([](armv7_virt::ExceptionFrame& frame) {
    frame.continue_at(frame.lr);
    return true;
  });
  reinterpret_cast<void (*)()>(code)();
  EXPECT_THAT(printed.text(), HasSubstr("prefetch abort, the page does not permit it"));
}

// Pushes a word onto a stack that is full, and comes back on the one it had.
[[gnu::noinline]] void push_at(std::uintptr_t stack_end) {
  // No interrupt: it would need the stack that is full.
  const isa::armv7::IrqMask masked;
  asm volatile(
      "mov r4, sp\n\t"
      "mov sp, %[end]\n\t"
      "push {r4}\n\t"
      "mov sp, r4"
      :
      : [end] "r"(stack_end)
      : "r4", "memory");
}

TEST_F(Report, AStackOverflowIsReportedFromAnotherStack) {
  const FaultsGoOn go_on;
  const PrintedText printed;
  const std::uintptr_t end = armv7_virt::stacks_of(kCpu3).task.bottom();
  run_on_cpu(kCpu3, [end] { push_at(end); });
  EXPECT_EQ(FaultsGoOn::count(), 1U);
  armv7_virt::LineBuffer what;
  what.add("on CPU 3, in its thread: data abort, store to ");
  what.add(armv7_virt::Hex{static_cast<std::uint32_t>(end) - 4});
  what.add(", the page does not permit it");
  EXPECT_THAT(printed.text(), HasSubstr(std::string(what.text())));
  armv7_virt::LineBuffer sp;
  sp.add("  sp ");
  sp.add(armv7_virt::Hex{static_cast<std::uint32_t>(end)});
  EXPECT_THAT(printed.text(), HasSubstr(std::string(sp.text())));
}

}  // namespace
}  // namespace trapline::firmware::testing
