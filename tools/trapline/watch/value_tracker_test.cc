#include "tools/trapline/watch/value_tracker.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <vector>

#include "decode/fake_memory.h"

namespace trapline::command {
namespace {

using decode::testing::FakeMemory;

constexpr std::uint64_t kCode = 0x401000;
constexpr std::uint64_t kData = 0x7000;
constexpr ProcessId kPid{10};
const std::vector<std::uint8_t> kIncrement{0xff, 0x00};  // inc dword ptr [rax]
const std::vector<std::uint8_t> kStore{0x89, 0x18};      // mov [rax], ebx

// An int that is 5, watched in a process that was stopped when it was read.
class ValueTrackerTest : public ::testing::Test {
 protected:
  ValueTrackerTest() {
    memory_.put(kData, {5, 0, 0, 0});
    const std::array slots{SlotRequest{RemoteAddress(kData), ByteCount{4}, Access::write}};
    tracker_.read_initial({RemoteAddress(kData), ByteCount{4}, Access::write}, slots, true);
  }

  // A hit by `instruction`; `ebx` is what a store writes, `read` what the collector saw.
  Hit hit_by(const std::vector<std::uint8_t>& instruction, std::uint64_t ebx = 0,
             MemoryValue read = {}) {
    finder_.clear();
    std::vector<std::uint8_t> code = instruction;
    const RemoteAddress trap(kCode + code.size());
    code.push_back(0xc3);  // ret
    memory_.put(kCode, code);
    UserRegisters registers;
    registers.set(static_cast<std::size_t>(X86Register::ax), kData);
    registers.set(static_cast<std::size_t>(X86Register::bx), ebx);
    Hit hit;
    hit.pid = kPid;
    hit.address = RemoteAddress(kData);
    hit.length = ByteCount{4};
    hit.trap_ip = trap;
    hit.new_value = read;
    const decode::Culprit* const culprit =
        finder_.find(trap, registers, {hit.address, hit.length, hit.access}, [&](RemoteAddress) {
          return decode::CodeRange{RemoteAddress(kCode), RemoteAddress(kCode + code.size())};
        });
    EXPECT_NE(culprit, nullptr);
    tracker_.update(hit, culprit, registers, false);
    return hit;
  }

  static Hit with_old(Hit hit, MemoryValue old) {
    hit.old_value = old;
    hit.new_value = {9, Certainty::exact};
    return hit;
  }

  FakeMemory memory_;
  decode::CulpritFinder finder_{memory_};
  ValueTracker tracker_{kPid, memory_, &finder_};
};

TEST_F(ValueTrackerTest, AllIsExactWhereEveryWriterIsSeen) {
  tracker_.set_sees_all_writers(true);
  const Hit hit = hit_by(kIncrement);
  EXPECT_EQ(hit.old_value, (MemoryValue{5, Certainty::exact}));
  EXPECT_EQ(hit.new_value, (MemoryValue{6, Certainty::exact}));
}

TEST_F(ValueTrackerTest, WhatFollowsFromTheOldValueIsNotProvedWhereWritersGoUnseen) {
  tracker_.set_sees_all_writers(false);
  const Hit hit = hit_by(kIncrement);
  EXPECT_EQ(hit.old_value, (MemoryValue{5, Certainty::approximate}));
  EXPECT_EQ(hit.new_value, (MemoryValue{6, Certainty::approximate}));
}

TEST_F(ValueTrackerTest, AWholeStoreIsExactEvenSo) {
  const Hit first = hit_by(kStore, 42);
  EXPECT_EQ(first.new_value, (MemoryValue{42, Certainty::exact}));
  const Hit second = hit_by(kStore, 43);
  EXPECT_EQ(second.old_value, (MemoryValue{42, Certainty::approximate}));
  EXPECT_EQ(second.new_value, (MemoryValue{43, Certainty::exact}));
}

TEST_F(ValueTrackerTest, AnExactReadOutweighsAStaleOldValueAndDisprovesIt) {
  // A system call made it 100 unseen, then: counter++.
  const Hit first = hit_by(kIncrement, 0, {101, Certainty::exact});
  EXPECT_EQ(first.new_value, (MemoryValue{101, Certainty::exact}));
  EXPECT_EQ(first.old_value, MemoryValue{});
  const Hit second = hit_by(kIncrement, 0, {102, Certainty::exact});
  EXPECT_EQ(second.new_value, (MemoryValue{102, Certainty::exact}));
  EXPECT_EQ(second.old_value, (MemoryValue{101, Certainty::approximate}));
}

TEST_F(ValueTrackerTest, ARacyReadDoesNotOutweighTheInstruction) {
  const Hit hit = hit_by(kIncrement, 0, {9, Certainty::approximate});
  EXPECT_EQ(hit.new_value, (MemoryValue{6, Certainty::approximate}));
}

TEST_F(ValueTrackerTest, NothingIsKnownAfterALoss) {
  tracker_.set_sees_all_writers(true);
  tracker_.forget();
  const Hit hit = hit_by(kIncrement);
  EXPECT_EQ(hit.old_value, MemoryValue{});
  EXPECT_EQ(hit.new_value, MemoryValue{});
}

TEST_F(ValueTrackerTest, OldValueTheCollectorSawNeedsNoHitBefore) {
  tracker_.set_sees_all_writers(true);
  tracker_.forget();
  Hit hit = with_old(hit_by(kStore, 9, {9, Certainty::exact}), {8, Certainty::exact});
  tracker_.update(hit, nullptr, {}, false);
  EXPECT_EQ(hit.old_value, (MemoryValue{8, Certainty::exact}));
  EXPECT_EQ(hit.new_value, (MemoryValue{9, Certainty::exact}));
}

TEST_F(ValueTrackerTest, OldValueTheCollectorSawIsNoMoreCertainThanItsWriters) {
  Hit hit = with_old(hit_by(kStore, 9, {9, Certainty::exact}), {8, Certainty::exact});
  tracker_.update(hit, nullptr, {}, false);
  EXPECT_EQ(hit.old_value, (MemoryValue{8, Certainty::approximate}));
}

TEST_F(ValueTrackerTest, WhatAnotherThreadWroteSinceIsNotTakenForTheStore) {
  const Hit hit = hit_by(kStore, 9, {12, Certainty::exact});
  EXPECT_EQ(hit.new_value, (MemoryValue{9, Certainty::exact}));
}

}  // namespace
}  // namespace trapline::command
