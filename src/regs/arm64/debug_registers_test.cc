#include "regs/arm64/debug_registers.h"

#include <gtest/gtest.h>

namespace trapline::regs::arm64 {
namespace {

Watchpoint write_of(std::uint64_t address, std::uint64_t length) {
  return {RemoteAddress(address), ByteCount{length}, Access::write, Privilege::el0};
}

TEST(Arm64Watchpoint, FieldsLieWhereTheManualPutsThem) {
  // E=1, PAC=0b10 (EL0), LSC=0b10 (store), BAS=0x0f.
  EXPECT_EQ(encode(write_of(0x1000, 4)), (WatchpointPair{0x1000, 0x1f5}));
  // The last four bytes of the doubleword: BAS=0xf0, the value register keeps the doubleword's
  // address.
  EXPECT_EQ(encode(write_of(0x1004, 4)), (WatchpointPair{0x1000, 0x1e15}));
  EXPECT_EQ(encode(Watchpoint{RemoteAddress(0x1003), ByteCount{1}, Access::read, Privilege::el1}),
            (WatchpointPair{0x1000, 0x10b}));
}

TEST(Arm64Watchpoint, EveryRunInADoublewordReadsBack) {
  for (std::uint64_t offset = 0; offset < 8; ++offset) {
    for (std::uint64_t length = 1; length <= 8; ++length) {
      for (const Access access : {Access::read, Access::write, Access::read_write}) {
        const Watchpoint wanted{RemoteAddress(0x7000 + offset), ByteCount{length}, access,
                                Privilege::el0};
        const auto pair = encode(wanted);
        ASSERT_EQ(pair.has_value(), offset + length <= 8);
        if (pair) {
          EXPECT_EQ(decode(*pair), wanted);
        }
      }
    }
  }
}

TEST(Arm64Watchpoint, RangeAcrossADoublewordIsRefusedNotNarrowed) {
  EXPECT_EQ(encode(write_of(0x1006, 4)).error().code, ErrorCode::bad_length);
  EXPECT_EQ(encode(write_of(0x1000, 0)).error().code, ErrorCode::bad_length);
  EXPECT_EQ(encode(Watchpoint{RemoteAddress(0), ByteCount{4}, Access::execute}).error().code,
            ErrorCode::access_unsupported);
}

TEST(Arm64Watchpoint, ForeignEncodingsAreNotMisread) {
  const WatchpointPair good = encode(write_of(0x1000, 4)).value();
  EXPECT_EQ(decode(WatchpointPair{good.value, good.control & ~1U}), std::nullopt) << "disabled";
  EXPECT_EQ(decode(WatchpointPair{good.value, good.control | 1U << 20}), std::nullopt) << "linked";
  EXPECT_EQ(decode(WatchpointPair{good.value, good.control | 3U << 24}), std::nullopt) << "masked";
  EXPECT_EQ(decode(WatchpointPair{good.value, good.control & ~(3U << 3)}), std::nullopt)
      << "reserved LSC";
  EXPECT_EQ(decode(WatchpointPair{good.value, (good.control & ~(0xffU << 5)) | 0b101U << 5}),
            std::nullopt)
      << "a gap in BAS";
  EXPECT_EQ(decode(WatchpointPair{good.value, good.control & ~(0xffU << 5)}), std::nullopt)
      << "no byte";
  EXPECT_EQ(decode(WatchpointPair{good.value | 4, good.control}), std::nullopt)
      << "not a doubleword's address";
}

TEST(Arm64Breakpoint, ReadsBackAndRefusesMisalignedAddresses) {
  // E=1, PMC=0b10, BAS=0xf: what Linux writes for a user breakpoint.
  EXPECT_EQ(encode(Breakpoint{RemoteAddress(0x400100)}), (BreakpointPair{0x400100, 0x1e5}));
  EXPECT_EQ(decode(BreakpointPair{0x400100, 0x1e5}), (Breakpoint{RemoteAddress(0x400100)}));
  EXPECT_EQ(encode(Breakpoint{RemoteAddress(0x400102)}).error().code, ErrorCode::misaligned);
  EXPECT_EQ(decode(BreakpointPair{0x400100, 0x1e5 | 2U << 20}), std::nullopt) << "a context match";
}

TEST(Arm64Counts, ComeFromTheFeatureRegister) {
  // Cortex-A57 (TRM, ID_AA64DFR0_EL1 reset value): 6 breakpoints, 4 watchpoints.
  EXPECT_EQ(decode_counts(0x10305106), (Counts{6, 4}));
}

}  // namespace
}  // namespace trapline::regs::arm64
