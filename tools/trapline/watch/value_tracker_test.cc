#include "tools/trapline/watch/value_tracker.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "decode/fake_memory.h"
#include "native_machine.h"

namespace trapline::command {
namespace {

using decode::testing::FakeMemory;

constexpr std::uint64_t kCode = 0x401000;
constexpr std::uint64_t kData = 0x7000;
constexpr ProcessId kPid{10};

// An int that is 5, watched in a process that was stopped when it was read.
class ValueTrackerTest : public ::testing::Test {
 protected:
  ValueTrackerTest() {
    memory_.put(kData, {5, 0, 0, 0});
    const std::array slots{SlotRequest{RemoteAddress(kData), ByteCount{4}, Access::write}};
    tracker_.read_initial({RemoteAddress(kData), ByteCount{4}, Access::write}, slots, true);
  }

  // A store of the whole value, and one of its lowest byte, which leaves the rest as it was.
  // `read`: what the collector saw.
  Hit store(std::uint64_t value, MemoryValue read = {}) {
    return hit_by(native::kWordStore, value, read);
  }
  Hit store_byte(std::uint64_t value, MemoryValue read = {}) {
    return hit_by(native::kByteStore, value, read);
  }

  static Hit with_old(Hit hit, MemoryValue old) {
    hit.old_value = old;
    hit.new_value = {9, Certainty::exact};
    return hit;
  }

  FakeMemory memory_;
  decode::CulpritFinder finder_{memory_};
  ValueTracker tracker_{kPid, memory_, &finder_};

 private:
  Hit hit_by(std::span<const std::uint8_t> instruction, std::uint64_t value, MemoryValue read) {
    finder_.clear();
    memory_.put(kCode, {instruction.begin(), instruction.end()});
    const RemoteAddress end(kCode + instruction.size());
    const RemoteAddress trap = native::kTrapsBeforeAccess ? RemoteAddress(kCode) : end;
    UserRegisters registers;
    registers.set(native::kStoredTo, kData);
    registers.set(native::kStoredFrom, value);
    Hit hit;
    hit.pid = kPid;
    hit.address = RemoteAddress(kData);
    hit.length = ByteCount{4};
    hit.trap_ip = trap;
    hit.new_value = read;
    const decode::Culprit* const culprit =
        finder_.find(trap, registers, {hit.address, hit.length, hit.access},
                     [&](RemoteAddress) { return decode::CodeRange{RemoteAddress(kCode), end}; });
    EXPECT_NE(culprit, nullptr);
    tracker_.update(hit, culprit, registers, false);
    return hit;
  }
};

TEST_F(ValueTrackerTest, AllIsExactWhereEveryWriterIsSeen) {
  tracker_.set_sees_all_writers(true);
  const Hit hit = store_byte(6);
  EXPECT_EQ(hit.old_value, (MemoryValue{5, Certainty::exact}));
  EXPECT_EQ(hit.new_value, (MemoryValue{6, Certainty::exact}));
}

TEST_F(ValueTrackerTest, WhatFollowsFromTheOldValueIsNotProvedWhereWritersGoUnseen) {
  tracker_.set_sees_all_writers(false);
  const Hit hit = store_byte(6);
  EXPECT_EQ(hit.old_value, (MemoryValue{5, Certainty::approximate}));
  EXPECT_EQ(hit.new_value, (MemoryValue{6, Certainty::approximate}));
}

TEST_F(ValueTrackerTest, AWholeStoreIsExactEvenSo) {
  const Hit first = store(42);
  EXPECT_EQ(first.new_value, (MemoryValue{42, Certainty::exact}));
  const Hit second = store(43);
  EXPECT_EQ(second.old_value, (MemoryValue{42, Certainty::approximate}));
  EXPECT_EQ(second.new_value, (MemoryValue{43, Certainty::exact}));
}

TEST_F(ValueTrackerTest, AnExactReadOutweighsAStaleOldValueAndDisprovesIt) {
  // A system call made it 0x100 unseen.
  const Hit first = store_byte(1, {0x101, Certainty::exact});
  EXPECT_EQ(first.new_value, (MemoryValue{0x101, Certainty::exact}));
  EXPECT_EQ(first.old_value, MemoryValue{});
  const Hit second = store_byte(2, {0x102, Certainty::exact});
  EXPECT_EQ(second.new_value, (MemoryValue{0x102, Certainty::exact}));
  EXPECT_EQ(second.old_value, (MemoryValue{0x101, Certainty::approximate}));
}

TEST_F(ValueTrackerTest, ARacyReadDoesNotOutweighTheInstruction) {
  const Hit hit = store_byte(6, {9, Certainty::approximate});
  EXPECT_EQ(hit.new_value, (MemoryValue{6, Certainty::approximate}));
}

TEST_F(ValueTrackerTest, NothingIsKnownAfterALoss) {
  tracker_.set_sees_all_writers(true);
  tracker_.forget();
  const Hit hit = store_byte(6);
  EXPECT_EQ(hit.old_value, MemoryValue{});
  EXPECT_EQ(hit.new_value, MemoryValue{});
}

TEST_F(ValueTrackerTest, OldValueTheCollectorSawNeedsNoHitBefore) {
  tracker_.set_sees_all_writers(true);
  tracker_.forget();
  Hit hit = with_old(store(9, {9, Certainty::exact}), {8, Certainty::exact});
  tracker_.update(hit, nullptr, {}, false);
  EXPECT_EQ(hit.old_value, (MemoryValue{8, Certainty::exact}));
  EXPECT_EQ(hit.new_value, (MemoryValue{9, Certainty::exact}));
}

TEST_F(ValueTrackerTest, OldValueTheCollectorSawIsNoMoreCertainThanItsWriters) {
  Hit hit = with_old(store(9, {9, Certainty::exact}), {8, Certainty::exact});
  tracker_.update(hit, nullptr, {}, false);
  EXPECT_EQ(hit.old_value, (MemoryValue{8, Certainty::approximate}));
}

TEST_F(ValueTrackerTest, WhatAnotherThreadWroteSinceIsNotTakenForTheStore) {
  const Hit hit = store(9, {12, Certainty::exact});
  EXPECT_EQ(hit.new_value, (MemoryValue{9, Certainty::exact}));
}

}  // namespace
}  // namespace trapline::command
