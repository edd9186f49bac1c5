#include "decode/culprit.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "decode/fake_memory.h"
#include "decode/instruction.h"

namespace trapline::decode {
namespace {

constexpr std::uint64_t kCode = 0x401000;
constexpr std::uint64_t kData = 0x7000;
constexpr std::uint64_t kStack = 0x7fff0000;

using testing::FakeMemory;
using Bytes = std::vector<std::uint8_t>;

UserRegisters registers_with(std::initializer_list<std::pair<X86Register, std::uint64_t>> values) {
  UserRegisters registers;
  for (std::size_t number = 0; number < 24; ++number) registers.set(number, 0);
  registers.set(static_cast<std::size_t>(X86Register::sp), kStack);
  for (const auto& [name, value] : values) registers.set(static_cast<std::size_t>(name), value);
  return registers;
}

class CulpritFinderTest : public ::testing::Test {
 protected:
  // A function at kCode: nop, then `instruction`, then ret. Returns the address of the trap after
  // `instruction`.
  RemoteAddress function_with(const Bytes& instruction) {
    Bytes code{0x90};
    code.insert(code.end(), instruction.begin(), instruction.end());
    code.push_back(0xc3);
    memory_.put(kCode, code);
    end_ = kCode + code.size();
    return RemoteAddress(end_ - 1);
  }

  const Culprit* find(RemoteAddress trap, const UserRegisters& registers,
                      std::uint64_t address = kData, std::uint64_t length = 4,
                      Access access = Access::write) {
    return finder_.find(trap, registers, {RemoteAddress(address), ByteCount{length}, access},
                        [this](RemoteAddress at) -> std::optional<CodeRange> {
                          if (at.value() < kCode || at.value() >= end_) return std::nullopt;
                          return CodeRange{RemoteAddress(kCode), RemoteAddress(end_)};
                        });
  }

  FakeMemory memory_;
  CulpritFinder finder_{memory_};
  std::uint64_t end_ = kCode;
};

TEST_F(CulpritFinderTest, StoreBeforeTheTrapIsTheCulprit) {
  const auto trap = function_with({0x89, 0x18});  // mov [rax], ebx
  const Culprit* culprit = find(trap, registers_with({{X86Register::ax, kData}}));
  ASSERT_NE(culprit, nullptr);
  EXPECT_EQ(culprit->ip, RemoteAddress(kCode + 1));
  EXPECT_EQ(culprit->text, "mov dword ptr [rax], ebx");
  EXPECT_TRUE(culprit->operand_checked);
}

TEST_F(CulpritFinderTest, StoreElsewhereIsNotTheCulprit) {
  const auto trap = function_with({0x89, 0x18});
  EXPECT_EQ(find(trap, registers_with({{X86Register::ax, kData + 4}})), nullptr);
  EXPECT_EQ(find(trap, registers_with({{X86Register::ax, kData - 4}})), nullptr);
  EXPECT_NE(find(trap, registers_with({{X86Register::ax, kData - 3}})), nullptr)
      << "one byte overlaps";
}

TEST_F(CulpritFinderTest, ReadIsNotAWrite) {
  const auto trap = function_with({0x39, 0x18});  // cmp [rax], ebx
  EXPECT_EQ(find(trap, registers_with({{X86Register::ax, kData}})), nullptr);
  EXPECT_NE(find(trap, registers_with({{X86Register::ax, kData}}), kData, 4, Access::read_write),
            nullptr);
}

TEST_F(CulpritFinderTest, OverwrittenBaseRegisterIsFoundButNotChecked) {
  const auto trap = function_with({0x48, 0x8b, 0x00});  // mov rax, [rax]
  const Culprit* culprit =
      find(trap, registers_with({{X86Register::ax, 1}}), kData, 4, Access::read_write);
  ASSERT_NE(culprit, nullptr);
  EXPECT_FALSE(culprit->operand_checked);
  EXPECT_EQ(finder_.stored_value(registers_with({}), RemoteAddress(kData), ByteCount{4}, 7),
            std::nullopt);
}

TEST_F(CulpritFinderTest, SegmentRelativeStoreIsFoundButNotChecked) {
  const auto trap = function_with({0x64, 0x89, 0x18});  // mov fs:[rax], ebx
  const Culprit* culprit = find(trap, registers_with({}));
  ASSERT_NE(culprit, nullptr);
  EXPECT_FALSE(culprit->operand_checked);
}

TEST_F(CulpritFinderTest, AccessedBytesAreThoseOfTheOperand) {
  // A store of 4 bytes into the 8 that are watched.
  auto trap = function_with({0x89, 0x18});  // mov [rax], ebx
  EXPECT_EQ(find(trap, registers_with({{X86Register::ax, kData + 4}}), kData, 8)->accessed,
            (AccessedBytes{RemoteAddress(kData + 4), ByteCount{4}}));
  // One that begins before them.
  EXPECT_EQ(find(trap, registers_with({{X86Register::ax, kData - 2}}), kData, 8)->accessed,
            (AccessedBytes{RemoteAddress(kData - 2), ByteCount{4}}));
  finder_.clear();
  trap = function_with({0x64, 0x89, 0x18});  // mov fs:[rax], ebx
  EXPECT_EQ(find(trap, registers_with({}))->accessed, std::nullopt) << "not checked";
  finder_.clear();
  trap = function_with({0xf3, 0x48, 0xa5});  // rep movsq
  EXPECT_EQ(find(trap, registers_with({{X86Register::di, kData + 8}}))->accessed, std::nullopt)
      << "the last of many";
}

TEST_F(CulpritFinderTest, OneOfTwoOperandsIsAccessedIfOnlyThatIsWatched) {
  const auto trap = function_with({0xa4});  // movsb: reads [rsi], writes [rdi], then moves both
  const auto registers =
      registers_with({{X86Register::di, kData + 1}, {X86Register::si, kData + 4}});
  EXPECT_EQ(find(trap, registers, kData, 4)->accessed,
            (AccessedBytes{RemoteAddress(kData), ByteCount{1}}));
  EXPECT_EQ(find(trap, registers, kData, 4, Access::read_write)->accessed, std::nullopt);
}

TEST_F(CulpritFinderTest, LeaAndNopTouchNothing) {
  EXPECT_EQ(find(function_with({0x8d, 0x18}), registers_with({{X86Register::ax, kData}}), kData, 4,
                 Access::read_write),
            nullptr);
  finder_.clear();
  EXPECT_EQ(find(function_with({0x0f, 0x1f, 0x00}), registers_with({{X86Register::ax, kData}}),
                 kData, 4, Access::read_write),
            nullptr);
}

TEST_F(CulpritFinderTest, UnfinishedRepeatTrapsAtItself) {
  memory_.put(kCode, {0x90, 0xf3, 0xaa, 0xc3});  // nop; rep stosb; ret
  end_ = kCode + 4;
  const RemoteAddress trap(kCode + 1);
  const Culprit* culprit = find(trap, registers_with({{X86Register::di, kData + 1}}));
  ASSERT_NE(culprit, nullptr);
  EXPECT_EQ(culprit->ip, trap);
  EXPECT_EQ(culprit->text, "rep stosb byte ptr [rdi], al");
  EXPECT_TRUE(culprit->operand_checked);
}

TEST_F(CulpritFinderTest, RepeatThatEndedIsCheckedByItsLastAccess) {
  const auto trap = function_with({0xf3, 0x48, 0xa5});  // rep movsq
  EXPECT_TRUE(find(trap, registers_with({{X86Register::di, kData + 8}}))->operand_checked);
  // Moved on since: it may have been an earlier one.
  const Culprit* passed = find(trap, registers_with({{X86Register::di, kData + 64}}));
  ASSERT_NE(passed, nullptr);
  EXPECT_FALSE(passed->operand_checked);
  EXPECT_EQ(find(trap, registers_with({{X86Register::di, kData}})), nullptr) << "not yet there";
  constexpr std::uint64_t kDirection = 1U << 10;
  EXPECT_NE(
      find(trap, registers_with({{X86Register::di, kData - 64}, {X86Register::flags, kDirection}})),
      nullptr);
  EXPECT_EQ(
      find(trap, registers_with({{X86Register::di, kData + 8}, {X86Register::flags, kDirection}})),
      nullptr);
}

TEST_F(CulpritFinderTest, StoreBeforeARepeatIsPreferredWhenProved) {
  memory_.put(kCode, {0x89, 0x18, 0xf3, 0xaa, 0xc3});  // mov [rax], ebx; rep stosb; ret
  end_ = kCode + 5;
  const Culprit* culprit =
      find(RemoteAddress(kCode + 2), registers_with({{X86Register::ax, kData}}));
  ASSERT_NE(culprit, nullptr);
  EXPECT_EQ(culprit->ip, RemoteAddress(kCode));
}

TEST_F(CulpritFinderTest, StringStoreIsCheckedBehindItsPointer) {
  const auto trap = function_with({0xab});  // stosd
  EXPECT_NE(find(trap, registers_with({{X86Register::di, kData + 4}})), nullptr);
  EXPECT_EQ(find(trap, registers_with({{X86Register::di, kData}})), nullptr);
  constexpr std::uint64_t kDirection = 1U << 10;
  EXPECT_NE(
      find(trap, registers_with({{X86Register::di, kData - 4}, {X86Register::flags, kDirection}})),
      nullptr);
}

TEST_F(CulpritFinderTest, TrapAtAFunctionsStartIsTheCallThatPushed) {
  // The caller: call kCode + 0x100; ret. The callee starts there.
  memory_.put(kCode, {0xe8, 0xfb, 0, 0, 0, 0xc3});
  end_ = kCode + 6;
  memory_.put(kCode + 0x100, {0xc3});
  memory_.put(kStack, {0x05, 0x10, 0x40, 0, 0, 0, 0, 0});  // the return address, kCode + 5
  const Culprit* culprit = find(RemoteAddress(kCode + 0x100), registers_with({}), kStack, 8);
  ASSERT_NE(culprit, nullptr);
  EXPECT_EQ(culprit->ip, RemoteAddress(kCode));
  EXPECT_EQ(
      finder_.stored_value(registers_with({}), RemoteAddress(kStack), ByteCount{8}, std::nullopt),
      (StoredValue{kCode + 5, false}));
}

TEST_F(CulpritFinderTest, CallOfAnotherFunctionIsNotTheOneThatPushed) {
  memory_.put(kCode, {0xe8, 0x00, 1, 0, 0, 0xc3});  // calls elsewhere: the stack has changed since
  end_ = kCode + 6;
  memory_.put(kCode + 0x100, {0xc3});
  memory_.put(kStack, {0x05, 0x10, 0x40, 0, 0, 0, 0, 0});
  EXPECT_EQ(find(RemoteAddress(kCode + 0x100), registers_with({}), kStack, 8), nullptr);
}

TEST_F(CulpritFinderTest, IndirectCallIsFoundButNotProved) {
  memory_.put(kCode, {0xff, 0xd0, 0xc3});  // call rax; ret
  end_ = kCode + 3;
  memory_.put(kCode + 0x100, {0xc3});
  memory_.put(kStack, {0x02, 0x10, 0x40, 0, 0, 0, 0, 0});
  const Culprit* culprit = find(RemoteAddress(kCode + 0x100), registers_with({}), kStack, 8);
  ASSERT_NE(culprit, nullptr);
  EXPECT_EQ(culprit->ip, RemoteAddress(kCode));
  EXPECT_FALSE(culprit->operand_checked);
}

TEST_F(CulpritFinderTest, WhatDoesNotFallThroughIsNoCulprit) {
  // jmp [rax], call [rax], ret, ret 8, push then ret: what is behind them was reached otherwise.
  for (const Bytes& code : {Bytes{0xff, 0x20}, Bytes{0xff, 0x10}, Bytes{0xc3}, Bytes{0xc2, 8, 0},
                            Bytes{0xe8, 0, 1, 0, 0}}) {
    finder_.clear();
    const auto trap = function_with(code);
    EXPECT_EQ(find(trap, registers_with({{X86Register::ax, kData}}), kData, 8, Access::read_write),
              nullptr);
    EXPECT_EQ(find(trap, registers_with({}), kStack, 8, Access::write), nullptr);
    EXPECT_EQ(find(trap, registers_with({}), kStack - 8, 8, Access::read_write), nullptr);
  }
}

TEST_F(CulpritFinderTest, LabelInTheMiddleOfAFunctionHidesNothing) {
  // Two functions that touch: the first runs into the second, as hand-written code does.
  memory_.put(kCode, {0x89, 0x18, 0xc3});
  const auto lookup = [](RemoteAddress address) -> std::optional<CodeRange> {
    if (address < RemoteAddress(kCode + 2))
      return CodeRange{RemoteAddress(kCode), RemoteAddress(kCode + 2)};
    return CodeRange{RemoteAddress(kCode + 2), RemoteAddress(kCode + 3)};
  };
  const Culprit* culprit =
      finder_.find(RemoteAddress(kCode + 2), registers_with({{X86Register::ax, kData}}),
                   {RemoteAddress(kData), ByteCount{4}, Access::write}, lookup);
  ASSERT_NE(culprit, nullptr);
  EXPECT_EQ(culprit->ip, RemoteAddress(kCode));
}

TEST_F(CulpritFinderTest, CompareAndExchangeIsAStore) {
  const auto trap = function_with({0xf0, 0x0f, 0xb1, 0x19});  // lock cmpxchg [rcx], ebx
  EXPECT_TRUE(find(trap, registers_with({{X86Register::cx, kData}}))->operand_checked);
  EXPECT_EQ(find(trap, registers_with({{X86Register::cx, kData + 4}})), nullptr);
}

TEST_F(CulpritFinderTest, TestIsARead) {
  const auto trap = function_with({0xf7, 0x00, 1, 0, 0, 0});  // test dword ptr [rax], 1
  const auto registers = registers_with({{X86Register::ax, kData}});
  EXPECT_EQ(find(trap, registers), nullptr);
  EXPECT_NE(find(trap, registers, kData, 4, Access::read_write), nullptr);
}

TEST_F(CulpritFinderTest, RegistersThatTheInstructionItselfChangedProveNothing) {
  // xadd [rax], rax; xchg [rax], rax; cmpxchg [rax], ecx; cmpxchg16b [rdx]; mul [rax]; idiv [rdx];
  // xchg [rbx + rcx], ecx; the address may be anything: found for the access it makes, unchecked.
  for (const Bytes& code :
       {Bytes{0x48, 0x0f, 0xc1, 0x00}, Bytes{0x48, 0x87, 0x00}, Bytes{0x0f, 0xb1, 0x08},
        Bytes{0x48, 0x0f, 0xc7, 0x0a}, Bytes{0x48, 0xf7, 0x20}, Bytes{0x48, 0xf7, 0x3a},
        Bytes{0x87, 0x0c, 0x0b}}) {
    finder_.clear();
    const auto trap = function_with(code);
    const Culprit* culprit = find(trap, registers_with({}), kData, 4, Access::read_write);
    ASSERT_NE(culprit, nullptr);
    EXPECT_FALSE(culprit->operand_checked) << culprit->text;
  }
}

TEST_F(CulpritFinderTest, AddressesOfVectorsAndBitStringsProveNothing) {
  // vpscatterdd [rax + zmm1] {k1}, zmm0; bts [rax], ebx
  for (const Bytes& code :
       {Bytes{0x62, 0xf2, 0x7d, 0x49, 0xa0, 0x04, 0x08}, Bytes{0x0f, 0xab, 0x18}}) {
    finder_.clear();
    const Culprit* culprit =
        find(function_with(code), registers_with({{X86Register::ax, 0x1234000}}));
    ASSERT_NE(culprit, nullptr);
    EXPECT_FALSE(culprit->operand_checked) << culprit->text;
  }
}

TEST_F(CulpritFinderTest, ThirtyTwoBitAddressesWrapAtFourGigabytes) {
  const auto trap = function_with({0x67, 0x89, 0x58, 0x10});  // mov [eax + 0x10], ebx
  const auto registers = registers_with({{X86Register::ax, 0xffffffff00000000 + kData - 0x10}});
  EXPECT_TRUE(find(trap, registers)->operand_checked);
}

TEST_F(CulpritFinderTest, StackInstructionsTouchWhereTheStackPointerWas) {
  const auto at = [&](const Bytes& code, std::uint64_t address, Access access) {
    finder_.clear();
    const Culprit* culprit = find(function_with(code), registers_with({}), address, 1, access);
    return culprit != nullptr && culprit->operand_checked;
  };
  const auto with_bp = [&](const Bytes& code, std::uint64_t address) {
    finder_.clear();
    const Culprit* culprit =
        find(function_with(code), registers_with({{X86Register::bp, kStack + 32}}), address, 1);
    return culprit != nullptr && culprit->operand_checked;
  };
  EXPECT_TRUE(at({0x50}, kStack + 7, Access::write)) << "push rax";
  EXPECT_FALSE(at({0x50}, kStack + 8, Access::write));
  EXPECT_TRUE(at({0x66, 0x50}, kStack + 1, Access::write)) << "push ax";
  EXPECT_FALSE(at({0x66, 0x50}, kStack + 2, Access::write));
  EXPECT_TRUE(at({0x9c}, kStack, Access::write)) << "pushfq";
  EXPECT_TRUE(at({0x58}, kStack - 8, Access::read_write)) << "pop rax";
  EXPECT_FALSE(at({0x58}, kStack - 8, Access::write));
  EXPECT_FALSE(at({0x5c}, kStack - 8, Access::read_write)) << "pop rsp";
  EXPECT_TRUE(at({0xc9}, kStack - 1, Access::read_write)) << "leave";
  EXPECT_TRUE(with_bp({0xc8, 0x20, 0, 0}, kStack + 32)) << "enter 0x20, 0";
  EXPECT_TRUE(at({0x8f, 0x44, 0x24, 0x08}, kStack + 8, Access::write)) << "pop [rsp + 8]";
  EXPECT_TRUE(at({0xff, 0x74, 0x24, 0x08}, kStack + 16, Access::read_write)) << "push [rsp + 8]";
  EXPECT_TRUE(at({0xff, 0x74, 0x24, 0x08}, kStack, Access::write)) << "push [rsp + 8]";
}

TEST_F(CulpritFinderTest, PushedValuesAreKnown) {
  const auto registers =
      registers_with({{X86Register::ax, 0x8877665544332211}, {X86Register::sp, kStack}});
  const auto pushed = [&](const Bytes& code, std::uint64_t size) {
    finder_.clear();
    const bool found = find(function_with(code), registers, kStack, size) != nullptr;
    return found ? finder_.stored_value(registers, RemoteAddress(kStack), ByteCount{size}, {})
                 : std::nullopt;
  };
  EXPECT_EQ(pushed({0x50}, 8), (StoredValue{0x8877665544332211, false}));
  EXPECT_EQ(pushed({0x66, 0x50}, 2), (StoredValue{0x2211, false}));
  EXPECT_EQ(pushed({0x66, 0x50}, 8), std::nullopt) << "two bytes tell nothing of eight";
  EXPECT_EQ(pushed({0x6a, 0xff}, 8), (StoredValue{~0ULL, false}));
  EXPECT_EQ(pushed({0x68, 1, 0, 0, 0x80}, 8), (StoredValue{0xffffffff80000001, false}));
  EXPECT_EQ(pushed({0x54}, 8), std::nullopt) << "push rsp";
  EXPECT_EQ(pushed({0x9c}, 8), std::nullopt) << "pushfq";
}

TEST_F(CulpritFinderTest, CompressedDisplacementsAreScaled) {
  const auto trap = function_with({0x62, 0xf1, 0xfe, 0x48, 0x7f, 0x40, 0x01});
  EXPECT_TRUE(find(trap, registers_with({{X86Register::ax, kData - 64}}))->operand_checked)
      << "vmovdqu64 [rax + 64], zmm0";
}

TEST_F(CulpritFinderTest, MaskedStoreGoesToItsImpliedAddress) {
  const auto trap = function_with({0x66, 0x0f, 0xf7, 0xc1});  // maskmovdqu xmm0, xmm1
  EXPECT_NE(find(trap, registers_with({{X86Register::di, kData - 15}})), nullptr);
  EXPECT_EQ(find(trap, registers_with({{X86Register::di, kData - 16}})), nullptr);
}

TEST_F(CulpritFinderTest, SavedStateOfUnknownLengthIsFoundButNotProvedBehindItsHeader) {
  const auto trap = function_with({0x0f, 0xae, 0x20});  // xsave [rax]
  EXPECT_TRUE(find(trap, registers_with({{X86Register::ax, kData - 575}}))->operand_checked);
  const Culprit* behind = find(trap, registers_with({{X86Register::ax, kData - 576}}));
  ASSERT_NE(behind, nullptr);
  EXPECT_FALSE(behind->operand_checked);
  EXPECT_EQ(find(trap, registers_with({{X86Register::ax, kData + 4}})), nullptr);
}

TEST_F(CulpritFinderTest, NothingFoundLeavesNoValueBehind) {
  const auto registers = registers_with({{X86Register::ax, kData}});
  ASSERT_NE(find(function_with({0x89, 0x18}), registers), nullptr);
  EXPECT_EQ(find(RemoteAddress(0x500000), registers), nullptr);
  EXPECT_EQ(finder_.stored_value(registers, RemoteAddress(kData), ByteCount{4}, 0), std::nullopt);
}

TEST_F(CulpritFinderTest, EveryTrapOfAFunctionCostsOneWalk) {
  Bytes code;
  for (int count = 0; count < 1000; ++count) code.insert(code.end(), {0x89, 0x18});
  memory_.put(kCode, code);
  end_ = kCode + code.size();
  const auto registers = registers_with({{X86Register::ax, kData}});
  const RemoteAddress last = RemoteAddress(end_);
  ASSERT_NE(find(last, registers), nullptr);
  const auto bytes_read = memory_.bytes_read;
  for (std::uint64_t trap = kCode + 2; trap < end_; trap += 2)
    ASSERT_NE(find(RemoteAddress(trap), registers), nullptr);
  EXPECT_LT(memory_.bytes_read - bytes_read, 40U * 1000) << "only the instructions themselves";
}

TEST_F(CulpritFinderTest, BytesThatAreNoInstructionHideOnlyWhatIsBehindThem) {
  memory_.put(kCode, {0x89, 0x18, 0x06, 0x89, 0x18});  // 06 is no instruction in 64-bit mode
  end_ = kCode + 5;
  const auto registers = registers_with({{X86Register::ax, kData}});
  EXPECT_EQ(find(RemoteAddress(kCode + 5), registers), nullptr);
  EXPECT_NE(find(RemoteAddress(kCode + 2), registers), nullptr);
}

TEST_F(CulpritFinderTest, RepeatedHitsAreCheap) {
  const auto trap = function_with({0x89, 0x18});
  const auto registers = registers_with({{X86Register::ax, kData}});
  const WatchedRange watched{RemoteAddress(kData), ByteCount{4}, Access::write};
  const FunctionLookup lookup = [&](RemoteAddress) -> std::optional<CodeRange> {
    return CodeRange{RemoteAddress(kCode), RemoteAddress(end_)};
  };
  constexpr int kRounds = 200000;
  int found = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (int round = 0; round < kRounds; ++round)
    found += finder_.find(trap, registers, watched, lookup) != nullptr ? 1 : 0;
  const std::chrono::duration<double, std::nano> cost = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(found, kRounds);
  RecordProperty("nanoseconds_per_find", static_cast<int>(cost.count() / kRounds));
  EXPECT_LT(cost.count() / kRounds, 20000.0) << "nanoseconds; a miss costs far more";
}

TEST_F(CulpritFinderTest, WithoutFunctionBoundsNothingIsGuessed) {
  memory_.put(0x500000, {0x89, 0x18, 0xc3});
  EXPECT_EQ(find(RemoteAddress(0x500002), registers_with({{X86Register::ax, kData}})), nullptr);
}

TEST_F(CulpritFinderTest, UndecodableBytesBeforeTheTrapAreUnknown) {
  memory_.put(kCode, {0x06, 0x89, 0x18, 0xc3});  // 06 is no instruction in 64-bit mode
  end_ = kCode + 4;
  EXPECT_EQ(find(RemoteAddress(kCode + 3), registers_with({{X86Register::ax, kData}})), nullptr);
}

TEST_F(CulpritFinderTest, TrapInTheMiddleOfAnInstructionIsUnknown) {
  function_with({0xc7, 0x00, 1, 0, 0, 0});
  EXPECT_EQ(find(RemoteAddress(kCode + 3), registers_with({{X86Register::ax, kData}})), nullptr);
}

TEST_F(CulpritFinderTest, CodeIsReadOnceForManyHits) {
  const auto trap = function_with({0x89, 0x18});
  ASSERT_NE(find(trap, registers_with({{X86Register::ax, kData}})), nullptr);
  const int reads = memory_.reads;
  for (int hit = 0; hit < 100; ++hit)
    ASSERT_NE(find(trap, registers_with({{X86Register::ax, kData}})), nullptr);
  EXPECT_EQ(memory_.reads, reads);
}

// Every form of store: found as a write, although the decoder calls many of them reads.
struct StoreCase {
  const char* name;
  Bytes code;
  std::uint64_t size;
};

class EveryStore : public CulpritFinderTest, public ::testing::WithParamInterface<StoreCase> {};

INSTANTIATE_TEST_SUITE_P(
    Forms, EveryStore,
    ::testing::Values(
        StoreCase{"mov8", {0x88, 0x18}, 1}, StoreCase{"mov16", {0x66, 0x89, 0x18}, 2},
        StoreCase{"mov64", {0x48, 0x89, 0x18}, 8}, StoreCase{"movimm", {0xc7, 0x00, 1, 0, 0, 0}, 4},
        StoreCase{"movups", {0x0f, 0x11, 0x00}, 16}, StoreCase{"movaps", {0x0f, 0x29, 0x00}, 16},
        StoreCase{"movdqa", {0x66, 0x0f, 0x7f, 0x00}, 16},
        StoreCase{"movq", {0x66, 0x0f, 0xd6, 0x00}, 8},
        StoreCase{"movsd", {0xf2, 0x0f, 0x11, 0x00}, 8},
        StoreCase{"movss", {0xf3, 0x0f, 0x11, 0x00}, 4},
        StoreCase{"vmovdqu", {0xc5, 0xfe, 0x7f, 0x00}, 32},
        StoreCase{"vmovdqu64", {0x62, 0xf1, 0xfe, 0x48, 0x7f, 0x00}, 64},
        StoreCase{"movnti", {0x0f, 0xc3, 0x18}, 4}, StoreCase{"xadd", {0x0f, 0xc1, 0x18}, 4},
        StoreCase{"fxsave", {0x0f, 0xae, 0x00}, 512}, StoreCase{"fnstsw", {0xdd, 0x38}, 2},
        StoreCase{"fnstenv", {0xd9, 0x30}, 28}, StoreCase{"fnsave", {0xdd, 0x30}, 108},
        StoreCase{"fstp80", {0xdb, 0x38}, 10}, StoreCase{"fisttp64", {0xdd, 0x08}, 8},
        StoreCase{"vmovq", {0xc5, 0xf9, 0xd6, 0x00}, 8},
        StoreCase{"movbe", {0x0f, 0x38, 0xf1, 0x18}, 4},
        StoreCase{"vextracti128", {0xc4, 0xe3, 0x7d, 0x39, 0x00, 0x01}, 16},
        StoreCase{"xchg", {0x87, 0x18}, 4}, StoreCase{"movsreg", {0x8c, 0x18}, 2},
        StoreCase{"shld", {0x0f, 0xa4, 0x18, 0x04}, 4}, StoreCase{"setcc", {0x0f, 0x94, 0x00}, 1},
        StoreCase{"fstp", {0xd9, 0x18}, 4}, StoreCase{"fistp", {0xdb, 0x18}, 4},
        StoreCase{"fnstcw", {0xd9, 0x38}, 2}, StoreCase{"stmxcsr", {0x0f, 0xae, 0x18}, 4},
        StoreCase{"pextrd", {0x66, 0x0f, 0x3a, 0x16, 0x00, 0x01}, 4},
        StoreCase{"movhps", {0x0f, 0x17, 0x00}, 8},
        StoreCase{"movntdq", {0x66, 0x0f, 0xe7, 0x00}, 16}, StoreCase{"shl", {0xd1, 0x20}, 4},
        StoreCase{"bts", {0x0f, 0xba, 0x28, 0x05}, 4}, StoreCase{"pop", {0x8f, 0x00}, 8}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(EveryStore, IsFoundOverItsWholeWidthAndNotBeyond) {
  const auto trap = function_with(GetParam().code);
  const std::uint64_t size = GetParam().size;
  const auto registers = registers_with({{X86Register::ax, kData}});
  const Culprit* last = find(trap, registers, kData + size - 1, 1);
  ASSERT_NE(last, nullptr);
  EXPECT_TRUE(last->operand_checked);
  EXPECT_EQ(find(trap, registers, kData + size, 1), nullptr);
}

// What a store leaves in memory, from the registers after it and the old bytes.
struct ValueCase {
  const char* name;
  Bytes code;
  std::uint64_t size;
  std::uint64_t old;
  std::uint64_t expected;
  bool depends_on_old;
};

class EveryValue : public CulpritFinderTest, public ::testing::WithParamInterface<ValueCase> {};

INSTANTIATE_TEST_SUITE_P(
    Forms, EveryValue,
    ::testing::Values(
        ValueCase{"mov32", {0x89, 0x18}, 4, 0, 0x44332211, false},
        ValueCase{"mov64", {0x48, 0x89, 0x18}, 8, 0, 0x8877665544332211, false},
        ValueCase{"mov8", {0x88, 0x18}, 1, 0, 0x11, false},
        ValueCase{"movhigh", {0x88, 0x38}, 1, 0, 0x22, false},  // bh
        ValueCase{"imm32", {0xc7, 0x00, 5, 0, 0, 0}, 4, 0, 5, false},
        ValueCase{"signextended", {0x48, 0xc7, 0x00, 0xff, 0xff, 0xff, 0xff}, 8, 0, ~0ULL, false},
        ValueCase{"inc", {0xff, 0x00}, 4, 0xffffffff, 0, true},
        ValueCase{"dec", {0xff, 0x08}, 4, 0, 0xffffffff, true},
        ValueCase{"add", {0x01, 0x18}, 4, 1, 0x44332212, true},
        ValueCase{"addimm8", {0x83, 0x00, 0xff}, 4, 10, 9, true},
        ValueCase{"sub", {0x83, 0x28, 3}, 4, 10, 7, true},
        ValueCase{"and", {0x83, 0x20, 6}, 4, 12, 4, true},
        ValueCase{"or", {0x80, 0x08, 1}, 1, 6, 7, true},
        ValueCase{"xor", {0x31, 0x18}, 4, 0, 0x44332211, true},
        ValueCase{"neg", {0xf7, 0x18}, 4, 1, 0xffffffff, true},
        ValueCase{"not", {0xf7, 0x10}, 4, 0, 0xffffffff, true}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_P(EveryValue, IsComputedExactly) {
  const auto registers =
      registers_with({{X86Register::ax, kData}, {X86Register::bx, 0x8877665544332211}});
  ASSERT_NE(find(function_with(GetParam().code), registers, kData, GetParam().size), nullptr);
  const ByteCount length{GetParam().size};
  EXPECT_EQ(finder_.stored_value(registers, RemoteAddress(kData), length, GetParam().old),
            (StoredValue{GetParam().expected, GetParam().depends_on_old}));
  const auto without_old =
      finder_.stored_value(registers, RemoteAddress(kData), length, std::nullopt);
  EXPECT_EQ(without_old.has_value(), !GetParam().depends_on_old);
}

TEST_F(CulpritFinderTest, PartOfAWideStoreIsCutOut) {
  const auto registers =
      registers_with({{X86Register::ax, kData - 4}, {X86Register::bx, 0x8877665544332211}});
  ASSERT_NE(find(function_with({0x48, 0x89, 0x18}), registers), nullptr);
  EXPECT_EQ(finder_.stored_value(registers, RemoteAddress(kData), ByteCount{4}, 0),
            (StoredValue{0x88776655, false}));
}

TEST_F(CulpritFinderTest, StoreOfAPartOfTheValueIsLaidOverTheOldOne) {
  const auto registers = registers_with({{X86Register::ax, kData}, {X86Register::bx, 0xee}});
  ASSERT_NE(find(function_with({0x88, 0x18}), registers), nullptr);
  EXPECT_EQ(finder_.stored_value(registers, RemoteAddress(kData), ByteCount{4}, 0x11223344),
            (StoredValue{0x112233ee, true}));
  EXPECT_EQ(finder_.stored_value(registers, RemoteAddress(kData), ByteCount{4}, std::nullopt),
            std::nullopt);
  // The same store, two bytes into a longer value.
  EXPECT_EQ(finder_.stored_value(registers, RemoteAddress(kData - 2), ByteCount{4}, 0x11223344),
            (StoredValue{0x11ee3344, true}));
}

TEST_F(CulpritFinderTest, StoreThatReachesInFromBeforeGivesItsUpperBytes) {
  const auto registers =
      registers_with({{X86Register::ax, kData - 2}, {X86Register::bx, 0x44332211}});
  ASSERT_NE(find(function_with({0x89, 0x18}), registers), nullptr);
  EXPECT_EQ(finder_.stored_value(registers, RemoteAddress(kData), ByteCount{4}, 0xaabbccdd),
            (StoredValue{0xaabb4433, true}));
}

TEST_F(CulpritFinderTest, ValuesThatRegistersDoNotTellAreUnknown) {
  const auto registers = registers_with({{X86Register::ax, kData}});
  for (const Bytes& code : {Bytes{0x0f, 0x94, 0x00}, Bytes{0xf3, 0x0f, 0x11, 0x00},
                            Bytes{0xf0, 0x0f, 0xb1, 0x18}, Bytes{0xd1, 0x20}, Bytes{0x11, 0x18}}) {
    finder_.clear();
    ASSERT_NE(find(function_with(code), registers, kData, 1), nullptr);
    EXPECT_EQ(finder_.stored_value(registers, RemoteAddress(kData), ByteCount{1}, 3), std::nullopt);
  }
}

TEST_F(CulpritFinderTest, ReadLeavesTheOldValue) {
  const auto registers = registers_with({{X86Register::ax, kData}});
  ASSERT_NE(find(function_with({0x8b, 0x18}), registers, kData, 4, Access::read_write), nullptr);
  EXPECT_EQ(finder_.stored_value(registers, RemoteAddress(kData), ByteCount{4}, 9),
            (StoredValue{9, true}));
}

}  // namespace
}  // namespace trapline::decode
