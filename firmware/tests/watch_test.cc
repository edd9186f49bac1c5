// Watchpoints and breakpoints: caught, decoded, stepped over, on every CPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <deque>

#include "isa/armv7/system_registers.h"
#include "ports/armv7_virt/faults.h"
#include "ports/armv7_virt/undef_hook.h"
#include "support.h"

namespace trapline::firmware::testing {
namespace {

using armv7_virt::Caught;
using armv7_virt::Ending;

alignas(8) volatile std::uint32_t words[4];
alignas(8) volatile std::uint8_t bytes[16];

class WatchTest : public BoardTest {};

[[gnu::noinline]] void store(volatile std::uint32_t& where, std::uint32_t value) {
  where = value;
}

TEST_F(WatchTest, AStoreIsCaughtWithWhereAndWhat) {
  words[0] = 1;
  Watched watched(*this, &words[0], 4);
  store(words[0], 7);
  const auto hits = take_hits();
  ASSERT_EQ(hits.size(), 1U);
  const Caught& hit = hits[0];
  EXPECT_EQ(words[0], 7U) << "the store was made";
  EXPECT_TRUE(hit.is_complete());
  EXPECT_EQ(hit.cpu, kCpu0);
  EXPECT_EQ(hit.old_value, 1U);
  EXPECT_EQ(hit.new_value, 7U);
  EXPECT_EQ(hit.access, Access::write);
  EXPECT_EQ(hit.slot, watched.get().registers()[0]);
  EXPECT_EQ(hit.accessed, RemoteAddress::of_local(&words[0]));
  const auto function = reinterpret_cast<std::uintptr_t>(&store);
  EXPECT_GE(hit.pc, function);
  EXPECT_LT(hit.pc, function + 64);
  watched.end();
  store(words[0], 8);
  EXPECT_TRUE(take_hits().empty());
}

TEST_F(WatchTest, TheNextHitIsNotLost) {
  words[0] = 0;
  Watched watched(*this, &words[0], 4);
  // Stores one behind the other: each is the instruction that steps over the one before end at.
  asm volatile(
      "str %[one], [%[to]]\n\t"
      "str %[two], [%[to]]\n\t"
      "str %[three], [%[to]]"
      :
      : [one] "r"(1), [two] "r"(2), [three] "r"(3), [to] "r"(&words[0])
      : "memory");
  const auto hits = take_hits();
  ASSERT_EQ(hits.size(), 3U);
  for (std::size_t index = 0; index < hits.size(); ++index) {
    EXPECT_EQ(hits[index].old_value, index);
    EXPECT_EQ(hits[index].new_value, index + 1);
    EXPECT_EQ(hits[index].pc, hits[0].pc + 4 * index);
  }
}

TEST_F(WatchTest, OnlyTheBytesAskedForAreWatched) {
  Watched watched(*this, const_cast<const std::uint8_t*>(&bytes[3]), 3);
  for (unsigned index = 0; index < 8; ++index) bytes[index] = static_cast<std::uint8_t>(index + 1);
  const auto hits = take_hits();
  ASSERT_EQ(hits.size(), 3U);
  for (std::size_t index = 0; index < hits.size(); ++index)
    EXPECT_EQ(hits[index].accessed, RemoteAddress::of_local(&bytes[3 + index]));
}

TEST_F(WatchTest, ReadsAndWritesAreToldApart) {
  words[1] = 5;
  Watched reads(*this, &words[1], 4, Access::read);
  store(words[1], 6);
  EXPECT_TRUE(take_hits().empty());
  EXPECT_EQ(words[1], 6U);
  auto hits = take_hits();
  ASSERT_EQ(hits.size(), 1U);
  EXPECT_EQ(hits[0].access, Access::read);
  EXPECT_EQ(hits[0].old_value, 6U);
  reads.end();
  Watched both(*this, &words[1], 4, Access::read_write);
  words[1] = words[1] + 1;
  hits = take_hits();
  ASSERT_EQ(hits.size(), 2U);
  EXPECT_EQ(hits[0].access, Access::read);
  EXPECT_EQ(hits[1].access, Access::write);
}

TEST_F(WatchTest, AStoreOfSeveralRegistersIsOneInstructionWithAHitForEachWatch) {
  const Watched first(*this, &words[0], 4);
  const Watched second(*this, &words[3], 4);
  asm volatile(
      "mov r4, #11\n\tmov r5, #12\n\tmov r6, #13\n\tmov r7, #14\n\t"
      "stm %[to], {r4-r7}"
      :
      : [to] "r"(&words[0])
      : "r4", "r5", "r6", "r7", "memory");
  const auto hits = take_hits();
  ASSERT_EQ(hits.size(), 2U);
  EXPECT_EQ(hits[0].pc, hits[1].pc);
  EXPECT_EQ(hits[0].new_value + hits[1].new_value, 25U);
  EXPECT_EQ(words[2], 13U);
}

TEST_F(WatchTest, AnExclusiveStoreGetsPast) {
  static std::atomic<std::uint32_t> counter{0};
  counter = 0;
  Watched watched(*this, &counter, 4);
  for (unsigned turn = 0; turn < 10; ++turn) counter.fetch_add(1);
  const auto hits = take_hits();
  ASSERT_EQ(hits.size(), 10U);
  for (std::size_t index = 0; index < hits.size(); ++index) {
    EXPECT_TRUE(hits[index].is_complete());
    EXPECT_EQ(hits[index].old_value, index);
    EXPECT_EQ(hits[index].new_value, index + 1);
  }
  EXPECT_EQ(counter, 10U);
}

TEST_F(WatchTest, AnExclusiveStoreThatIsNotRepeatedIsSaidToHaveFailed) {
  static std::uint32_t word = 0;
  Watched watched(*this, &word, 4);
  std::uint32_t status = 0;
  asm volatile(
      "ldrex r4, [%[at]]\n\t"
      "strex %[status], %[at], [%[at]]\n\t"
      "nop"
      : [status] "=&r"(status)
      : [at] "r"(&word)
      : "r4", "memory");
  EXPECT_EQ(status, 1U);
  // The rest of the loop is waited for in vain; the registers are on again all the same.
  spin_for(Nanoseconds{1'000'000});
  auto hits = take_hits();
  ASSERT_EQ(hits.size(), 1U);
  EXPECT_EQ(hits[0].ending, Ending::store_gave_up);
  EXPECT_EQ(hits[0].new_value, 0U);
  store(reinterpret_cast<volatile std::uint32_t&>(word), 3);
  hits = take_hits();
  ASSERT_EQ(hits.size(), 1U);
  EXPECT_TRUE(hits[0].is_complete());
}

TEST_F(WatchTest, AnInterruptInTheLoopOfAnExclusiveStoreEndsItsStep) {
  static std::uint32_t word = 0;
  word = 0;
  const Watched watched(*this, &word, 4);
  std::uint32_t pass = 0;
  // The second time round it waits for one, between the load and the store.
  asm volatile(
      "1: ldrex r4, [%[at]]\n\t"
      "add r4, r4, #5\n\t"
      "add %[pass], %[pass], #1\n\t"
      "cmp %[pass], #2\n\t"
      "wfieq\n\t"
      "strex r5, r4, [%[at]]\n\t"
      "cmp r5, #0\n\t"
      "bne 1b"
      : [pass] "+&r"(pass)
      : [at] "r"(&word)
      : "r4", "r5", "cc", "memory");
  EXPECT_EQ(word, 5U);
  const auto hits = take_hits();
  ASSERT_EQ(hits.size(), 2U);
  EXPECT_EQ(hits[0].ending, Ending::not_seen);
  EXPECT_EQ(hits[1].ending, Ending::made);
  EXPECT_EQ(hits[1].new_value, 5U);
}

// Stores 1, and 2 in an IT block.
extern "C" void thumb_stores(volatile std::uint32_t* to);
asm(R"(
  .pushsection .text.thumb_stores, "ax"
  .syntax unified
  .thumb
  .global thumb_stores
  .thumb_func
  .type thumb_stores, %function
thumb_stores:
  movs    r1, #1
  movs    r2, #2
  str     r1, [r0]
  cmp     r1, #1
  it      eq
  streq   r2, [r0]
  bx      lr
  .size thumb_stores, . - thumb_stores
  .arm
  .popsection
)");

TEST_F(WatchTest, ThumbCodeIsSteppedOverToo) {
  words[2] = 0;
  Watched watched(*this, &words[2], 4);
  thumb_stores(&words[2]);
  const auto hits = take_hits();
  ASSERT_EQ(hits.size(), 2U);
  EXPECT_TRUE(hits[0].is_thumb);
  EXPECT_EQ(hits[0].new_value, 1U);
  EXPECT_EQ(hits[1].old_value, 1U);
  EXPECT_EQ(hits[1].new_value, 2U);
}

TEST_F(WatchTest, EveryCpuIsWatched) {
  words[0] = 100;
  Watched watched(*this, &words[0], 4);
  for (const CpuId cpu : kCpus) run_on_cpu(cpu, [&] { store(words[0], cpu.value); });
  const auto hits = take_hits();
  ASSERT_EQ(hits.size(), 4U);
  for (std::size_t index = 0; index < hits.size(); ++index)
    EXPECT_EQ(hits[index].cpu, kCpus[index]);
  EXPECT_EQ(hits[0].old_value, 100U);
}

TEST_F(WatchTest, HitsOfAllCpusAtOnceFormOneChainOfValues) {
  words[0] = 0;
  Watched watched(*this, &words[0], 4);
  constexpr std::uint32_t kTurns = 40;
  {
    std::deque<CpuThread> threads;
    for (const CpuId cpu : kOtherCpus) {
      threads.emplace_back(cpu, [cpu] {
        for (std::uint32_t turn = 1; turn <= kTurns; ++turn)
          store(words[0], cpu.value << 16 | turn);
      });
    }
  }
  const auto hits = take_hits();
  ASSERT_EQ(hits.size(), 3 * kTurns);
  std::uint64_t value = 0;
  for (const Caught& hit : hits) {
    EXPECT_EQ(hit.old_value, value);
    value = hit.new_value;
  }
  EXPECT_EQ(value, words[0]);
}

[[gnu::noinline]] std::uint32_t called(std::uint32_t value) {
  asm volatile("" : "+r"(value));
  return value + 1;
}

TEST_F(WatchTest, ABreakpointIsCaughtOnEveryCpuAndGoneThrough) {
  Watched watched(*this, reinterpret_cast<const void*>(&called), 4, Access::execute);
  for (const CpuId cpu : kCpus) {
    std::uint32_t answer = 0;
    run_on_cpu(cpu, [&] { answer = called(cpu.value); });
    EXPECT_EQ(answer, cpu.value + 1);
  }
  const auto hits = take_hits();
  ASSERT_EQ(hits.size(), 4U);
  for (std::size_t index = 0; index < hits.size(); ++index) {
    EXPECT_EQ(hits[index].cpu, kCpus[index]);
    EXPECT_EQ(hits[index].access, Access::execute);
    EXPECT_EQ(hits[index].pc, reinterpret_cast<std::uintptr_t>(&called));
  }
}

// Read and write the mask of IRQs in every way; each leaves what it saw in seen[]. They end with
// IRQs as they were.
extern "C" {
void trapline_status_arm(std::uint32_t* seen);
void trapline_status_thumb(std::uint32_t* seen);
// Not to be executed.
void trapline_returns_arm();
void trapline_returns_thumb();
}
asm(R"(
  .pushsection .text.trapline_status, "ax"
  .syntax unified
  .macro status_accesses
  mrs     r1, cpsr
  cpsid   i
  mrs     r2, cpsr
  cpsie   i
  mrs     r3, cpsr
  msr     cpsr_c, r2
  mrs     r12, cpsr
  msr     cpsr_c, r1
  stm     r0!, {r1-r3, r12}
  mrs     r1, cpsr
  str     r1, [r0]
  bx      lr
  .endm
  .arm
  .balign 4
  .global trapline_status_arm
  .type trapline_status_arm, %function
trapline_status_arm:
  status_accesses
  .size trapline_status_arm, . - trapline_status_arm
  .global trapline_returns_arm
  .type trapline_returns_arm, %function
trapline_returns_arm:
  subs    pc, lr, #4
  rfeia   sp!
  ldm     sp!, {r0, pc}^
  mrs     lr, cpsr
  .size trapline_returns_arm, . - trapline_returns_arm
  .thumb
  .balign 4
  .global trapline_status_thumb
  .thumb_func
  .type trapline_status_thumb, %function
trapline_status_thumb:
  status_accesses
  .size trapline_status_thumb, . - trapline_status_thumb
  .balign 4
  .global trapline_returns_thumb
  .thumb_func
  .type trapline_returns_thumb, %function
trapline_returns_thumb:
  subs    pc, lr, #4
  rfeia   sp!
  mrs     lr, cpsr
  .size trapline_returns_thumb, . - trapline_returns_thumb
  .arm
  .popsection
)");

using Seen = std::array<std::uint32_t, 5>;
constexpr std::uint32_t kIrqsMasked = 1U << 7;
constexpr std::uint32_t kMasksAndMode = 0x1df;
constexpr std::size_t kStatusAccesses = 8;  // at the beginning; the second and the fourth are CPS

// Of the instruction number `index` of a function; in Thumb code CPS is the only narrow one.
const void* instruction(std::uintptr_t function, std::size_t index) {
  const std::size_t narrow = (index > 1 ? 1U : 0U) + (index > 3 ? 1U : 0U);
  const bool is_thumb = (function & 1) != 0;
  return reinterpret_cast<const void*>(function + 4 * index - (is_thumb ? 2 * narrow : 0));
}

TEST_F(WatchTest, WhatReadsOrWritesTheMaskOfIrqsDoesSoUnderABreakpoint) {
  for (const auto function : {&trapline_status_arm, &trapline_status_thumb}) {
    Seen expected{};
    function(expected.data());
    for (std::uint32_t& word : expected) word &= kMasksAndMode;
    EXPECT_EQ(expected[0] & kIrqsMasked, 0U);
    EXPECT_NE(expected[1] & kIrqsMasked, 0U);
    for (std::size_t index = 0; index < kStatusAccesses; ++index) {
      const auto* const at = instruction(reinterpret_cast<std::uintptr_t>(function), index);
      const Watched watched(*this, at, 4, Access::execute);
      Seen seen{};
      function(seen.data());
      // Flags and GE are whatever they were.
      for (std::uint32_t& word : seen) word &= kMasksAndMode;
      EXPECT_EQ(seen, expected) << "instruction " << index;
      EXPECT_FALSE(isa::armv7::irqs_are_masked()) << "instruction " << index;
      const auto hits = take_hits();
      ASSERT_EQ(hits.size(), 1U) << "instruction " << index;
      EXPECT_TRUE(hits[0].is_complete());
      EXPECT_EQ(hits[0].pc, reinterpret_cast<std::uintptr_t>(at) & ~std::uintptr_t{1});
    }
  }
}

TEST_F(WatchTest, TheMaskOfIrqsIsTheProgramsInTheLoopOfAnExclusiveStore) {
  static std::uint32_t word = 0;
  word = 0;
  const Watched watched(*this, &word, 4);
  std::uint32_t status = 0;
  std::uint32_t seen = 0;
  asm volatile(
      "1: ldrex r4, [%[at]]\n\t"
      "add r4, r4, #1\n\t"
      "strex %[status], r4, [%[at]]\n\t"
      "mrs r4, cpsr\n\t"
      "orr %[seen], %[seen], r4\n\t"
      "mrs r4, cpsr\n\t"
      "orr %[seen], %[seen], r4\n\t"
      "cmp %[status], #0\n\t"
      "bne 1b"
      : [status] "=&r"(status), [seen] "+&r"(seen)
      : [at] "r"(&word)
      : "r4", "cc", "memory");
  EXPECT_EQ(seen & kIrqsMasked, 0U);
  const auto hits = take_hits();
  ASSERT_EQ(hits.size(), 1U);
  EXPECT_TRUE(hits[0].is_complete());
  EXPECT_EQ(hits[0].new_value, 1U);
}

TEST_F(WatchTest, ExceptionReturnsCannotHaveABreakpoint) {
  ASSERT_TRUE(watches().enable().has_value());
  const auto ask = [&](std::uintptr_t address) {
    CpuWatch refused;
    const auto added =
        watches().add(refused, {RemoteAddress(address), ByteCount{4}, Access::execute});
    return added ? std::nullopt : std::optional(added.error().code);
  };
  const auto arm = reinterpret_cast<std::uintptr_t>(&trapline_returns_arm);
  for (const unsigned index : {0U, 1U, 2U, 3U})
    EXPECT_EQ(ask(arm + 4 * index), ErrorCode::not_steppable) << index;
  const auto thumb = reinterpret_cast<std::uintptr_t>(&trapline_returns_thumb);
  for (const unsigned index : {0U, 1U, 2U})
    EXPECT_EQ(ask(thumb + 4 * index), ErrorCode::not_steppable) << index;
  EXPECT_EQ(watches().free_slots(true), 5U);
}

TEST_F(WatchTest, WhatFaultsAfterItWasCaughtIsAHitThatDidNotHappen) {
  // Two words, of which the second is in a page that may not be written.
  const WindowPages pages({armv7_virt::Permission::read_write, armv7_virt::Permission::read_only});
  auto* const last = reinterpret_cast<volatile std::uint32_t*>(pages.address(1) - 4);
  const Watched watched(*this, last, 4);
  const FaultsGoOn go_on;
  asm volatile("stm %[to], {r4, r5}" : : [to] "r"(last) : "memory");
  EXPECT_EQ(FaultsGoOn::count(), 1U);
  auto hits = take_hits();
  ASSERT_EQ(hits.size(), 1U);
  EXPECT_EQ(hits[0].ending, Ending::faulted);
  *last = 3;
  hits = take_hits();
  ASSERT_EQ(hits.size(), 1U) << "the register is on again";
  EXPECT_TRUE(hits[0].is_complete());
}

[[gnu::noinline]] void load_from_nowhere() {
  asm volatile("ldr r1, [%[from]]" : : [from] "r"(0x10) : "r1");
}

TEST_F(WatchTest, WhatTheHandlersOfAbortsDoIsNotCaught) {
  words[0] = 0;
  const Watched watched(*this, &words[0], 4);
  armv7_virt::set_last_resort([](armv7_virt::ExceptionFrame& frame) {
    store(words[0], 1);
    frame.continue_at(frame.pc + 4);
    return true;
  });
  load_from_nowhere();
  armv7_virt::set_last_resort(nullptr);
  EXPECT_EQ(words[0], 1U);
  EXPECT_TRUE(take_hits().empty());
  store(words[0], 2);
  EXPECT_EQ(take_hits().size(), 1U) << "they are on again";
}

TEST_F(WatchTest, WhatHooksForUndefinedInstructionsDoIsCaught) {
  words[0] = 0;
  const Watched watched(*this, &words[0], 4);
  armv7_virt::UndefHook hook(0xffffffff, 0xe7f000f9, 0, 0,
                             [](armv7_virt::ExceptionFrame& frame, std::uint32_t) {
                               store(words[0], 1);
                               frame.continue_at(frame.pc + 4);
                               return true;
                             });
  armv7_virt::register_undef_hook(hook);
  asm volatile("udf #9");
  armv7_virt::unregister_undef_hook(hook);
  const auto hits = take_hits();
  ASSERT_EQ(hits.size(), 1U);
  EXPECT_TRUE(hits[0].is_complete());
  EXPECT_EQ(hits[0].new_value, 1U);
}

// Loads the pc from where nothing is mapped, as the last of its words: ldm r0, {r1, pc}.
extern "C" void trapline_load_pc(std::uintptr_t from);
asm(R"(
  .pushsection .text.trapline_load_pc, "ax"
  .syntax unified
  .arm
  .balign 4
  .global trapline_load_pc
  .type trapline_load_pc, %function
trapline_load_pc:
  ldm     r0, {r1, pc}
  bx      lr
  .size trapline_load_pc, . - trapline_load_pc
  .popsection
)");

TEST_F(WatchTest, AHandlersOwnFaultDoesNotEndTheStepItBegins) {
  // To know where the instruction goes the handler reads the word itself, and faults.
  const WindowPages pages({armv7_virt::Permission::read_write, std::nullopt});
  const Watched watched(*this, reinterpret_cast<const void*>(&trapline_load_pc), 4,
                        Access::execute);
  const FaultsGoOn go_on;
  for (unsigned turn = 1; turn <= 3; ++turn) {
    trapline_load_pc(pages.address(1) - 4);
    EXPECT_EQ(FaultsGoOn::count(), turn) << "the load itself, behind which the test goes on";
    const auto hits = take_hits();
    ASSERT_EQ(hits.size(), 1U) << "the register is on again, in turn " << turn;
    EXPECT_FALSE(hits[0].is_complete());
    EXPECT_FALSE(isa::armv7::irqs_are_masked());
  }
  // Nothing holds up the other CPUs' hits.
  run_on_cpu(kCpu2, [&] { trapline_load_pc(pages.address(1) - 4); });
  EXPECT_EQ(take_hits().size(), 1U);
}

TEST_F(WatchTest, HitsThatNobodyTakesAreCounted) {
  constexpr std::size_t kMore = 10;
  const Watched watched(*this, &words[0], 4);
  const std::uint64_t lost_before = armv7_virt::debug_events::lost();
  for (std::uint32_t turn = 0; turn < armv7_virt::debug_events::kCapacity + kMore; ++turn)
    store(words[0], turn);
  EXPECT_EQ(take_hits().size(), armv7_virt::debug_events::kCapacity);
  EXPECT_EQ(armv7_virt::debug_events::lost() - lost_before, kMore);
}

TEST_F(WatchTest, AWatchThatDoesNotFitOrFindsNoRegisterIsRefused) {
  ASSERT_TRUE(watches().enable().has_value());
  CpuWatch refused;
  const auto ask = [&](std::uint64_t length, Access access = Access::write) {
    const auto added =
        watches().add(refused, {RemoteAddress::of_local(&words[0]), ByteCount{length}, access});
    return added ? std::nullopt : std::optional(added.error().code);
  };
  EXPECT_EQ(ask(0), ErrorCode::empty_range);
  EXPECT_EQ(ask(33), ErrorCode::range_too_long) << "four registers of eight bytes";
  std::deque<Watched> all;
  while (watches().free_slots(false) > 0) all.emplace_back(*this, &words[0], 4);
  EXPECT_EQ(all.size(), 4U);
  EXPECT_EQ(ask(4), ErrorCode::no_free_slot);
  store(words[0], 1);
  // One instruction, one register after the other.
  EXPECT_EQ(take_hits().size(), 4U);
}

}  // namespace
}  // namespace trapline::firmware::testing
