// The debug registers of one CPU: found, reset, written.
#include "ports/armv7_virt/debug_unit.h"

#include <gtest/gtest.h>

#include "isa/armv7/debug_access.h"
#include "ports/armv7_virt/cpu.h"
#include "support.h"
#include "trapline/fault/exception_entry.h"

namespace trapline::firmware::testing {
namespace {

using armv7_virt::debug_unit;
using isa::armv7::dbg_read;
using isa::armv7::dbg_write;
using isa::armv7::DebugRegister;

constexpr std::uint32_t kMonitorMode = 1U << 15;
constexpr std::uint32_t kOsLocked = 1U << 1;

TEST(DebugUnitTest, DiscoveryFindsWhatACortexA15Has) {
  const auto identity = debug_unit().identity();
  EXPECT_EQ(identity.version, static_cast<std::uint8_t>(regs::armv7::Version::v7_1));
  EXPECT_EQ(identity.watchpoints, 4);
  EXPECT_EQ(identity.breakpoints, 6);
  const DebugArchitecture architecture = debug_unit().architecture();
  EXPECT_EQ(architecture.data_slots, 4);
  EXPECT_EQ(architecture.code_slots, 5) << "one steps over hits";
  EXPECT_EQ(architecture.max_data_length, ByteCount{8});
  EXPECT_TRUE(architecture.traps_before_access);
}

// A CPU that was powered up and that no hotplug state has touched.
class PoweredUpCpu : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(armv7_virt::turn_on(kCpu1).has_value()); }
  void TearDown() override { ASSERT_TRUE(armv7_virt::turn_off(kCpu1).has_value()); }
};

TEST_F(PoweredUpCpu, ResetUnlocksClearsAndEnables) {
  run_on_cpu(kCpu1, [] {
    EXPECT_EQ(dbg_read(DebugRegister::status_control()) & kMonitorMode, 0U);
    EXPECT_NE(dbg_read(DebugRegister::os_lock_status()) & kOsLocked, 0U);
    // What power-up may leave.
    for (std::size_t index = 0; index < 6; ++index) {
      dbg_write(DebugRegister::breakpoint_value(index), 0x1000);
      dbg_write(DebugRegister::breakpoint_control(index), 0x1e6);
    }
    for (std::size_t index = 0; index < 4; ++index) {
      dbg_write(DebugRegister::watchpoint_value(index), 0x1000);
      dbg_write(DebugRegister::watchpoint_control(index), 0x1f6);
    }
    EXPECT_TRUE(debug_unit().reset_ctrl_regs().has_value());
    EXPECT_NE(dbg_read(DebugRegister::status_control()) & kMonitorMode, 0U);
    EXPECT_EQ(dbg_read(DebugRegister::os_lock_status()) & kOsLocked, 0U);
    for (std::size_t index = 0; index < 6; ++index) {
      EXPECT_EQ(dbg_read(DebugRegister::breakpoint_value(index)), 0U);
      EXPECT_EQ(dbg_read(DebugRegister::breakpoint_control(index)), 0U);
    }
    for (std::size_t index = 0; index < 4; ++index) {
      EXPECT_EQ(dbg_read(DebugRegister::watchpoint_value(index)), 0U);
      EXPECT_EQ(dbg_read(DebugRegister::watchpoint_control(index)), 0U);
    }
  });
}

TEST_F(PoweredUpCpu, AResetThatFaultsIsAnErrorOfThatCpu) {
  debug_unit().break_reset_on(kCpu1, true);
  run_on_cpu(kCpu1, [] {
    EXPECT_EQ(debug_unit().reset_ctrl_regs().error().code, ErrorCode::not_supported);
  });
  EXPECT_TRUE(debug_unit().reset_ctrl_regs().has_value()) << "on CPU 0";
  debug_unit().break_reset_on(kCpu1, false);
  run_on_cpu(kCpu1, [] { EXPECT_TRUE(debug_unit().reset_ctrl_regs().has_value()); });
}

TEST_F(PoweredUpCpu, AnInstalledSlotIsInTheRegistersAndGoneWhenItIsRemoved) {
  run_on_cpu(kCpu1, [] {
    ASSERT_TRUE(debug_unit().reset_ctrl_regs().has_value());
    const DebugSlot slot{SlotIndex{2}, RemoteAddress(0x6000'0004), ByteCount{4}, Access::write};
    EXPECT_TRUE(debug_unit().install(slot).has_value());
    EXPECT_EQ(dbg_read(DebugRegister::watchpoint_value(2)), 0x6000'0000U);
    EXPECT_EQ(dbg_read(DebugRegister::watchpoint_control(2)), 0x1e17U)
        << "BAS 0xf0, store, any mode";
    debug_unit().remove(slot);
    EXPECT_EQ(dbg_read(DebugRegister::watchpoint_control(2)), 0U);
    const DebugSlot misaligned{SlotIndex{0}, RemoteAddress(0x6000'0002), ByteCount{4},
                               Access::execute};
    EXPECT_EQ(debug_unit().install(misaligned).error().code, ErrorCode::misaligned);
    const DebugSlot across{SlotIndex{0}, RemoteAddress(0x6000'0006), ByteCount{4}, Access::write};
    EXPECT_EQ(debug_unit().install(across).error().code, ErrorCode::bad_length);
    EXPECT_EQ(dbg_read(DebugRegister::watchpoint_control(0)), 0U);
  });
}

TEST_F(PoweredUpCpu, ADebugEventLeavesHitsOffWhereTheyWereOff) {
  run_on_cpu(kCpu1, [] {
    ASSERT_EQ(dbg_read(DebugRegister::status_control()) & kMonitorMode, 0U);
    // Taken in monitor mode or not.
    asm volatile(TRAPLINE_GUARDED("bkpt #0", 8));
    EXPECT_EQ(dbg_read(DebugRegister::status_control()) & kMonitorMode, 0U);
    ASSERT_TRUE(debug_unit().reset_ctrl_regs().has_value());
    asm volatile(TRAPLINE_GUARDED("bkpt #0", 8));
    EXPECT_NE(dbg_read(DebugRegister::status_control()) & kMonitorMode, 0U);
  });
}

TEST(DebugUnitTest, WhatTheFaultHandlersUseHasToBeAskedForDifferently) {
  const DebugSlot slot{SlotIndex{0}, RemoteAddress::of_local(&armv7_virt::this_cpu().faults),
                       ByteCount{4}, Access::write};
  const auto refused = debug_unit().install(slot);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::in_fault_path);
  EXPECT_EQ(group_of(refused.error().code), ErrorGroup::change_request);
}

}  // namespace
}  // namespace trapline::firmware::testing
