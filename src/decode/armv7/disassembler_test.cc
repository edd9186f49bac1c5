// The culprit where the trap comes before the access, in Thumb and in ARM. Encodings are those of
// GNU as, as they lie in memory.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "decode/trap_before_access_fixture.h"

namespace trapline::decode {
namespace {

using testing::kData;

constexpr std::uint64_t kCode = 0x10000;
constexpr std::size_t kSp = static_cast<std::size_t>(ArmRegister::sp);
using Bytes = std::vector<std::uint8_t>;

class Armv7CulpritTest
    : public testing::TrapBeforeAccess<static_cast<std::size_t>(ArmRegister::pc) + 1> {
 protected:
  const Culprit* find(const Bytes& code, const UserRegisters& registers,
                      std::uint64_t address = kData, std::uint64_t length = 4,
                      Access access = Access::write, std::uint64_t ip = kCode) {
    return find_at(RemoteAddress(ip), code, registers,
                   {RemoteAddress(address), ByteCount{length}, access});
  }
};

TEST_F(Armv7CulpritTest, TheTrappedInstructionIsTheCulpritInBothInstructionSets) {
  const auto registers = registers_with({{1, 0x11223344}, {2, kData}});
  // str r1, [r2]: in Thumb with a nop behind it, and in ARM.
  for (const Bytes& code : {Bytes{0x11, 0x60, 0x00, 0xbf}, Bytes{0x00, 0x10, 0x82, 0xe5}}) {
    const Culprit* const culprit = find(code, registers);
    ASSERT_NE(culprit, nullptr);
    EXPECT_EQ(culprit->ip, RemoteAddress(kCode));
    EXPECT_EQ(culprit->text, "str r1, [r2]");
    EXPECT_TRUE(culprit->operand_checked);
    EXPECT_EQ(culprit->accessed, (AccessedBytes{RemoteAddress(kData), ByteCount{4}}));
    EXPECT_EQ(stored(registers, std::nullopt), (StoredValue{0x11223344, false}));
  }
}

TEST_F(Armv7CulpritTest, BetweenWordsThereIsOnlyThumb) {
  const auto registers = registers_with({{2, kData}});
  EXPECT_NE(find({0x11, 0x60, 0x00, 0xbf}, registers, kData, 4, Access::write, kCode + 2), nullptr);
  EXPECT_EQ(find({0x00, 0x10, 0x82, 0xe5}, registers, kData, 4, Access::write, kCode + 2), nullptr);
}

TEST_F(Armv7CulpritTest, AStoreElsewhereAndALoadAreNot) {
  EXPECT_EQ(find({0x11, 0x60, 0x00, 0xbf}, registers_with({{2, kData + 4}})), nullptr);
  const auto registers = registers_with({{2, kData}});
  EXPECT_EQ(find({0x11, 0x68, 0x00, 0xbf}, registers), nullptr) << "ldr r1, [r2]";
  EXPECT_NE(find({0x11, 0x68, 0x00, 0xbf}, registers, kData, 4, Access::read_write), nullptr);
}

TEST_F(Armv7CulpritTest, TellsAReadFromAWriteWhereBothAreWatched) {
  const auto registers = registers_with({{2, kData}});
  const auto access_of = [&](const Bytes& code) {
    const Culprit* const culprit = find(code, registers, kData, 4, Access::read_write);
    return culprit == nullptr ? std::nullopt : culprit->access;
  };
  EXPECT_EQ(access_of({0x11, 0x68, 0x00, 0xbf}), Access::read);   // ldr r1, [r2]
  EXPECT_EQ(access_of({0x11, 0x60, 0x00, 0xbf}), Access::write);  // str r1, [r2]
  EXPECT_EQ(access_of({0x00, 0x10, 0x92, 0xe5}), Access::read);   // the same in ARM
  EXPECT_EQ(access_of({0x00, 0x10, 0x82, 0xe5}), Access::write);
  EXPECT_EQ(access_of({0x52, 0xe8, 0x00, 0x1f}), Access::read);   // ldrex r1, [r2]
  EXPECT_EQ(access_of({0x42, 0xe8, 0x00, 0x13}), Access::write);  // strex r3, r1, [r2]
  // vst1.8 {d0}, [r2]: its address is not computed.
  EXPECT_EQ(access_of({0x02, 0xf9, 0x0f, 0x07}), std::nullopt);
}

TEST_F(Armv7CulpritTest, EachRegisterOfAPairHasItsOwnBytes) {
  const auto registers = registers_with({{0, 0x1111}, {1, 0x3333}, {2, kData}});
  const Culprit* const culprit =
      find({0xc2, 0xe9, 0x00, 0x01}, registers, kData + 4);  // strd r0, r1, [r2]
  ASSERT_NE(culprit, nullptr);
  EXPECT_EQ(culprit->accessed, (AccessedBytes{RemoteAddress(kData + 4), ByteCount{4}}));
  EXPECT_EQ(stored(registers, std::nullopt, kData + 4), (StoredValue{0x3333, false}));
  EXPECT_EQ(stored(registers, std::nullopt), (StoredValue{0x1111, false}));
}

TEST_F(Armv7CulpritTest, ListsOfRegistersReachAsFarAsTheyAreLong) {
  // push {r4, lr}
  const auto stack = registers_with({{kSp, kData + 8}});
  EXPECT_NE(find({0x10, 0xb5, 0x00, 0xbf}, stack), nullptr);
  EXPECT_NE(find({0x10, 0xb5, 0x00, 0xbf}, stack, kData + 4), nullptr);
  EXPECT_EQ(find({0x10, 0xb5, 0x00, 0xbf}, stack, kData + 8), nullptr);
  // stmia r2!, {r0, r1}
  const auto base = registers_with({{2, kData}});
  EXPECT_NE(find({0x03, 0xc2, 0x00, 0xbf}, base, kData + 4), nullptr);
  EXPECT_EQ(find({0x03, 0xc2, 0x00, 0xbf}, base, kData + 8), nullptr);
}

TEST_F(Armv7CulpritTest, AnExclusiveStoreMayFail) {
  const auto registers = registers_with({{1, 3}, {2, kData}});
  ASSERT_NE(find({0x42, 0xe8, 0x00, 0x10}, registers), nullptr) << "strex r0, r1, [r2]";
  EXPECT_EQ(stored(registers, 7), std::nullopt);
}

}  // namespace
}  // namespace trapline::decode
