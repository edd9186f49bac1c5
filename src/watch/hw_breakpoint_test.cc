#include "trapline/watch/hw_breakpoint.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "ports/fake/fake_machine.h"
#include "ports/fake/fake_port.h"

namespace trapline {
namespace {

using hotplug::Placement;
using hotplug::Section;

constexpr hotplug::StateLayout kLayout{.prepare_fixed = 1,
                                       .prepare_dynamic = 0,
                                       .starting_fixed = 1,
                                       .online_fixed = 2,
                                       .online_dynamic = 1};
constexpr CpuId kFirst{0};
constexpr CpuId kSecond{1};
constexpr CpuId kThird{2};

// Debug registers as an Armv7 CPU has them: two for data, one for code; empty after power-up only
// if they were reset.
class FakeDebug {
 public:
  explicit FakeDebug(fake::FakePort& port) : port_(port) {}

  [[nodiscard]] DebugArchitecture architecture() const {
    return armv7_debug_architecture(
        1, 2, ByteCount{8}, {Access::read, Access::write, Access::read_write, Access::execute});
  }
  [[nodiscard]] std::expected<void, Error> reset_ctrl_regs() {
    ++resets[here()];
    if (broken.contains(here())) return std::unexpected(Error{ErrorCode::not_supported});
    registers[here()].clear();
    return {};
  }
  [[nodiscard]] std::expected<void, Error> install(const DebugSlot& slot) {
    if (refusals[here()] > 0 && --refusals[here()] == 0)
      return std::unexpected(Error{ErrorCode::no_hardware});
    const Key key{slot.access == Access::execute, slot.index.value};
    EXPECT_FALSE(registers[here()].contains(key)) << "overwritten";
    registers[here()][key] = slot.address.value();
    return {};
  }
  void remove(const DebugSlot& slot) {
    EXPECT_EQ(registers[here()].erase({slot.access == Access::execute, slot.index.value}), 1U);
  }

  using Key = std::pair<bool, unsigned>;
  std::map<CpuId, std::map<Key, std::uint64_t>> registers;
  std::map<CpuId, unsigned> resets;
  std::map<CpuId, unsigned> refusals;  // the how many-th install from now on is refused
  std::set<CpuId> broken;

 private:
  [[nodiscard]] CpuId here() const { return port_.current().cpu.value(); }
  fake::FakePort& port_;
};
static_assert(DebugPort<FakeDebug>);

class HwBreakpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    up(kFirst);
    up(kSecond);
  }
  void up(CpuId cpu) { ASSERT_TRUE(machine_.cpu_up(cpu).has_value()); }
  void down(CpuId cpu) { ASSERT_TRUE(machine_.cpu_down(cpu).has_value()); }
  static Request write_of(std::uint64_t address, std::uint64_t length) {
    return {RemoteAddress(address), ByteCount{length}, Access::write};
  }
  std::size_t registers_set(CpuId cpu) { return debug_.registers[cpu].size(); }

  fake::FakeMachine hardware_{3};
  fake::FakePort port_{hardware_};
  hotplug::StaticStorage<3, kLayout> storage_;
  hotplug::StateMachine<fake::FakePort> machine_{port_, kLayout, storage_.cpus, storage_.states};
  FakeDebug debug_{port_};
  HwBreakpoint<FakeDebug, fake::FakePort> facility_{
      machine_,
      debug_,
      {Placement::fixed(Section::online, 0), Placement::fixed(Section::online, 1)}};
};

TEST_F(HwBreakpointTest, EnablingResetsEveryOnlineCpuAndThoseThatComeLater) {
  ASSERT_TRUE(facility_.enable().has_value());
  EXPECT_EQ(debug_.resets[kFirst], 1U);
  EXPECT_EQ(debug_.resets[kSecond], 1U);
  EXPECT_EQ(debug_.resets[kThird], 0U);
  up(kThird);
  EXPECT_EQ(debug_.resets[kThird], 1U);
  EXPECT_TRUE(facility_.debug_err_mask().empty());
}

TEST_F(HwBreakpointTest, ACpuThatFaultsTakesTheFacilityBackWithoutCallingBack) {
  debug_.broken.insert(kSecond);
  EXPECT_EQ(facility_.enable().error().code, ErrorCode::not_supported);
  EXPECT_FALSE(facility_.is_enabled());
  EXPECT_TRUE(facility_.debug_err_mask().contains(kSecond));
  EXPECT_EQ(facility_.debug_err_mask().count(), 1U);
  up(kThird);
  EXPECT_EQ(debug_.resets[kThird], 0U) << "the state is gone";
  debug_.broken.clear();
  EXPECT_TRUE(facility_.enable().has_value()) << "its numbers are free again";
  EXPECT_TRUE(facility_.debug_err_mask().empty());
}

TEST_F(HwBreakpointTest, AWatchIsOnEveryCpuAndOnThoseThatComeBack) {
  ASSERT_TRUE(facility_.enable().has_value());
  CpuWatch watch;
  ASSERT_TRUE(facility_.add(watch, write_of(0x1000, 4)).has_value());
  down(kSecond);
  EXPECT_EQ(registers_set(kSecond), 0U);
  debug_.registers[kSecond][{false, 1}] = 0xbad;  // what power-up leaves
  up(kSecond);
  up(kThird);
  for (const CpuId cpu : {kFirst, kSecond, kThird}) {
    EXPECT_EQ(registers_set(cpu), 1U);
    EXPECT_EQ((debug_.registers[cpu][{false, watch.registers()[0].value}]), 0x1000U);
  }
  ASSERT_TRUE(facility_.remove(watch).has_value());
  for (const CpuId cpu : {kFirst, kSecond, kThird}) EXPECT_EQ(registers_set(cpu), 0U);
  EXPECT_EQ(facility_.free_slots(false), 2U);
}

TEST_F(HwBreakpointTest, WhatOneCpuRefusesIsInstalledNowhere) {
  ASSERT_TRUE(facility_.enable().has_value());
  CpuWatch watch;
  debug_.refusals[kSecond] = 2;  // its second register
  EXPECT_EQ(facility_.add(watch, write_of(0x1004, 8)).error().code, ErrorCode::no_hardware);
  EXPECT_FALSE(watch.is_added());
  EXPECT_EQ(registers_set(kFirst), 0U);
  EXPECT_EQ(registers_set(kSecond), 0U);
  EXPECT_EQ(facility_.free_slots(false), 2U);
  EXPECT_TRUE(facility_.add(watch, write_of(0x1004, 8)).has_value());
  EXPECT_TRUE(facility_.remove(watch).has_value());
}

TEST_F(HwBreakpointTest, RequestsThatCannotBeMetChangeNothing) {
  CpuWatch watch;
  EXPECT_EQ(facility_.add(watch, write_of(0x1000, 4)).error().code, ErrorCode::wrong_state);
  ASSERT_TRUE(facility_.enable().has_value());
  EXPECT_EQ(facility_.enable().error().code, ErrorCode::wrong_state);
  EXPECT_EQ(facility_.add(watch, write_of(0x1000, 17)).error().code, ErrorCode::range_too_long);
  EXPECT_EQ(facility_.remove(watch).error().code, ErrorCode::not_reserved);
  CpuWatch all;
  ASSERT_TRUE(facility_.add(all, write_of(0x1000, 16)).has_value());
  EXPECT_EQ(facility_.add(all, write_of(0x1000, 4)).error().code, ErrorCode::duplicate);
  EXPECT_EQ(facility_.add(watch, write_of(0x2000, 1)).error().code, ErrorCode::no_free_slot);
  EXPECT_EQ(facility_.disable().error().code, ErrorCode::instances_left);
  ASSERT_TRUE(facility_.remove(all).has_value());
  EXPECT_TRUE(facility_.disable().has_value());
  EXPECT_FALSE(facility_.is_enabled());
}

TEST_F(HwBreakpointTest, ACpuThatFailsLaterComesOnlineUnwatched) {
  ASSERT_TRUE(facility_.enable().has_value());
  CpuWatch watch;
  ASSERT_TRUE(facility_.add(watch, write_of(0x1000, 4)).has_value());
  debug_.broken.insert(kThird);
  up(kThird);
  EXPECT_TRUE(facility_.debug_err_mask().contains(kThird));
  EXPECT_EQ(registers_set(kThird), 0U);
  ASSERT_TRUE(facility_.remove(watch).has_value());
  debug_.broken.clear();
  down(kThird);
  up(kThird);
  EXPECT_TRUE(facility_.debug_err_mask().empty());
}

TEST_F(HwBreakpointTest, CodeAndDataRegistersAreToldApart) {
  ASSERT_TRUE(facility_.enable().has_value());
  CpuWatch code;
  ASSERT_TRUE(
      facility_.add(code, {RemoteAddress(0x8000), ByteCount{4}, Access::execute}).has_value());
  EXPECT_TRUE(code.owns(code.registers()[0], Access::execute));
  EXPECT_FALSE(code.owns(code.registers()[0], Access::write));
  EXPECT_EQ(facility_.free_slots(true), 0U);
  EXPECT_EQ(facility_.free_slots(false), 2U);
  ASSERT_TRUE(facility_.remove(code).has_value());
  EXPECT_FALSE(code.owns(SlotIndex{0}, Access::execute));
}

}  // namespace
}  // namespace trapline
