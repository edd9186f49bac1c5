#include "regs/armv7/debug_registers.h"

#include <gtest/gtest.h>

namespace trapline::regs::armv7 {
namespace {

constexpr ByteCount kWord{4};
constexpr ByteCount kDoubleword{8};

TEST(Armv7Watchpoint, FieldsLieWhereTheManualPutsThem) {
  // E=1, PAC=0b11, LSC=0b10 (store), BAS=0xf: the watchpoint of the founding problem's firmware.
  EXPECT_EQ(
      encode(Watchpoint{RemoteAddress(0x40001000), ByteCount{4}, Access::write, Privilege::any},
             kWord),
      (WatchpointPair{0x40001000, 0x1f7}));
  EXPECT_EQ(encode(Watchpoint{RemoteAddress(0x40001003), ByteCount{1}, Access::read_write,
                              Privilege::user},
                   kWord),
            (WatchpointPair{0x40001000, 0x11d}));
}

TEST(Armv7Watchpoint, EveryRunInAWindowReadsBack) {
  for (const ByteCount window : {kWord, kDoubleword}) {
    for (std::uint64_t offset = 0; offset < window.value; ++offset) {
      for (std::uint64_t length = 1; length <= window.value; ++length) {
        const Watchpoint wanted{RemoteAddress(0x8000 + offset), ByteCount{length}, Access::write,
                                Privilege::user};
        const auto pair = encode(wanted, window);
        ASSERT_EQ(pair.has_value(), offset + length <= window.value);
        if (pair) {
          EXPECT_EQ(decode(*pair), wanted);
        }
      }
    }
  }
}

TEST(Armv7Watchpoint, WhatDoesNotFitIsRefused) {
  EXPECT_EQ(encode(Watchpoint{RemoteAddress(0x1002), ByteCount{4}}, kWord).error().code,
            ErrorCode::bad_length);
  EXPECT_EQ(encode(Watchpoint{RemoteAddress(0x1'0000'0000), ByteCount{4}}, kWord).error().code,
            ErrorCode::range_wraps);
  EXPECT_EQ(encode(Watchpoint{RemoteAddress(0), ByteCount{4}, Access::execute}, kWord).error().code,
            ErrorCode::access_unsupported);
  EXPECT_TRUE(encode(Watchpoint{RemoteAddress(0), ByteCount{4}}, kWord).has_value())
      << "address zero is an address";
}

TEST(Armv7Watchpoint, ForeignEncodingsAreNotMisread) {
  EXPECT_EQ(decode(WatchpointPair{0x1000, 0x1f6}), std::nullopt) << "disabled";
  EXPECT_EQ(decode(WatchpointPair{0x1000, 0x1f7 & ~6U}), std::nullopt) << "no mode";
  EXPECT_EQ(decode(WatchpointPair{0x1000, 0x1f7 | 1U << 20}), std::nullopt) << "linked";
  EXPECT_EQ(decode(WatchpointPair{0x1000, (0x1f7 & ~(0xffU << 5)) | 0b1001U << 5}), std::nullopt)
      << "a gap in BAS";
}

TEST(Armv7Breakpoint, ByteSelectTellsArmAndThumbApart) {
  const auto arm = encode(Breakpoint{RemoteAddress(0x8000), InstructionSet::arm, Privilege::any});
  EXPECT_EQ(arm, (BreakpointPair{0x8000, 0x1e7}));
  const auto low = encode(Breakpoint{RemoteAddress(0x8000), InstructionSet::thumb, Privilege::any});
  EXPECT_EQ(low, (BreakpointPair{0x8000, 0x67}));
  const auto high =
      encode(Breakpoint{RemoteAddress(0x8002), InstructionSet::thumb, Privilege::any});
  EXPECT_EQ(high, (BreakpointPair{0x8000, 0x187}));
  for (const auto& pair : {arm, low, high}) EXPECT_EQ(encode(decode(*pair).value()), pair);
}

TEST(Armv7Breakpoint, WhatDoesNotFitIsRefused) {
  EXPECT_EQ(encode(Breakpoint{RemoteAddress(0x8002)}).error().code, ErrorCode::misaligned);
  EXPECT_EQ(encode(Breakpoint{RemoteAddress(0x8001), InstructionSet::thumb}).error().code,
            ErrorCode::misaligned);
  EXPECT_EQ(encode(Breakpoint{RemoteAddress(0x1'0000'0000)}).error().code, ErrorCode::range_wraps);
  EXPECT_EQ(decode(BreakpointPair{0x8000, 0x1e7 | 4U << 20}), std::nullopt)
      << "an address mismatch";
}

TEST(Armv7Identity, CortexA15InQemuIsRead) {
  // Read on qemu-system-arm 7.2, -M virt -cpu cortex-a15.
  EXPECT_EQ(decode_identity(0x3515f021),
            (Identity{.breakpoints = 6,
                      .watchpoints = 4,
                      .context_breakpoints = 2,
                      .version = static_cast<std::uint8_t>(Version::v7_1)}));
}

}  // namespace
}  // namespace trapline::regs::armv7
