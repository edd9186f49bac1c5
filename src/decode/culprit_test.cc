#include "decode/culprit.h"

#include <gtest/gtest.h>

#include <cstring>
#include <initializer_list>
#include <map>
#include <vector>

#include "decode/instruction.h"

namespace trapline::decode {
namespace {

constexpr std::uint64_t kCode = 0x401000;
constexpr std::uint64_t kData = 0x7000;
constexpr std::uint64_t kStack = 0x7fff0000;

using Bytes = std::vector<std::uint8_t>;

// Memory made of the pieces a test puts there; everything else cannot be read.
class FakeMemory final : public MemoryReader {
 public:
  void put(std::uint64_t address, const Bytes& bytes) {
    for (std::size_t index = 0; index < bytes.size(); ++index)
      bytes_[address + index] = std::byte{bytes[index]};
  }
  [[nodiscard]] std::size_t read(RemoteAddress address, std::span<std::byte> destination) override {
    ++reads;
    std::size_t count = 0;
    for (std::byte& byte : destination) {
      const auto found = bytes_.find(address.value() + count);
      if (found == bytes_.end()) break;
      byte = found->second;
      ++count;
    }
    return count;
  }
  int reads = 0;

 private:
  std::map<std::uint64_t, std::byte> bytes_;
};

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
  const Culprit* culprit = find(RemoteAddress(kCode + 1), registers_with({{X86Register::cx, 5}}));
  ASSERT_NE(culprit, nullptr);
  EXPECT_EQ(culprit->ip, RemoteAddress(kCode + 1));
  EXPECT_EQ(culprit->text, "rep stosb byte ptr [rdi], al");
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
  // The caller: call +0; ret. The callee starts at kCode + 0x100.
  memory_.put(kCode, {0xe8, 0, 0, 0, 0, 0xc3});
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
        StoreCase{"cmpxchg", {0xf0, 0x0f, 0xb1, 0x18}, 4},
        StoreCase{"setcc", {0x0f, 0x94, 0x00}, 1}, StoreCase{"fstp", {0xd9, 0x18}, 4},
        StoreCase{"fistp", {0xdb, 0x18}, 4}, StoreCase{"fnstcw", {0xd9, 0x38}, 2},
        StoreCase{"stmxcsr", {0x0f, 0xae, 0x18}, 4},
        StoreCase{"pextrd", {0x66, 0x0f, 0x3a, 0x16, 0x00, 0x01}, 4},
        StoreCase{"movhps", {0x0f, 0x17, 0x00}, 8},
        StoreCase{"movntdq", {0x66, 0x0f, 0xe7, 0x00}, 16}, StoreCase{"shl", {0xd1, 0x20}, 4},
        StoreCase{"bts", {0x0f, 0xab, 0x18}, 4}, StoreCase{"pop", {0x8f, 0x00}, 8}),
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

TEST_F(CulpritFinderTest, StoreOfAPartOfTheValueTellsNothing) {
  const auto registers = registers_with({{X86Register::ax, kData}});
  ASSERT_NE(find(function_with({0x88, 0x18}), registers), nullptr);
  EXPECT_EQ(finder_.stored_value(registers, RemoteAddress(kData), ByteCount{4}, 0), std::nullopt);
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

// A compiler's code, walked: at every boundary the decoder must find the instruction that ends
// there.
TEST(Walk, EveryBoundaryOfARealFunctionIsFound) {
  class OwnMemory final : public MemoryReader {
   public:
    std::size_t read(RemoteAddress address, std::span<std::byte> destination) override {
      std::memcpy(destination.data(), reinterpret_cast<const void*>(address.value()),
                  destination.size());
      return destination.size();
    }
  };
  OwnMemory memory;
  const auto start = RemoteAddress(reinterpret_cast<std::uintptr_t>(&effective_address));
  Disassembler disassembler;
  std::vector<std::byte> code(120);
  ASSERT_EQ(memory.read(start, code), code.size());
  std::size_t boundaries = 0;
  for (std::size_t offset = 0; offset + Disassembler::max_length() < code.size(); ++boundaries) {
    const RemoteAddress ip = start + ByteCount{offset};
    const std::size_t length = disassembler.length_at(std::span(code).subspan(offset), ip);
    ASSERT_GT(length, 0U);
    const auto decoded = disassembler.decode(std::span(code).subspan(offset), ip);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->length, length);
    EXPECT_FALSE(decoded->text.empty());
    offset += length;
  }
  EXPECT_GT(boundaries, 15U);
}

}  // namespace
}  // namespace trapline::decode
