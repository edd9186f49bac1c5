// Unwinding stacks of this process, against backtrace(3).
#include "symbols/unwinder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "native_machine.h"
#include "symbols/dwarf_registers.h"
#include "symbols/unwind_shapes.h"

namespace trapline::symbols {
namespace {

using ::testing::ElementsAreArray;

class UnwinderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto image = ProcessImage::open(ProcessId{::getpid()});
    ASSERT_TRUE(image.has_value()) << image.error().message;
    image_ = std::move(*image);
    unwinder_.emplace(*image_);
  }

  std::vector<RemoteAddress> unwind(const Capture& capture, std::size_t max_frames = 128) {
    return unwinder_->unwind(capture.registers, capture.stack, max_frames);
  }

  std::unique_ptr<ProcessImage> image_;
  std::optional<Unwinder> unwinder_;
};

// As far as the copied bytes reach: all that backtrace(3) found, or a beginning of it.
void expect_beginning_of(const std::vector<RemoteAddress>& all,
                         const std::vector<RemoteAddress>& found, std::size_t at_least) {
  ASSERT_GE(found.size(), at_least);
  ASSERT_LE(found.size(), all.size());
  EXPECT_THAT(found, ElementsAreArray(all.begin(),
                                      all.begin() + static_cast<std::ptrdiff_t>(found.size())));
}

TEST_F(UnwinderTest, EveryCallerOfARecursionIsFound) {
  Capture capture;
  capture_recursion(capture, 5);
  const auto found = unwind(capture);
  expect_beginning_of(capture.callers, found, 7);  // five recursions, the first call, the test
}

TEST_F(UnwinderTest, WholeStackIsFoundWhereAllOfItWasCopied) {
  // A thread's stack is short; its end is known to backtrace(3), too.
  Capture capture;
  capture_in_thread(capture);
  const auto found = unwind(capture);
  EXPECT_THAT(found, ElementsAreArray(capture.callers));
}

TEST_F(UnwinderTest, LibrariesWithoutFramePointersAreCrossed) {
  Capture capture;
  capture_through_library(capture);
  expect_beginning_of(capture.callers, unwind(capture), 6);
}

TEST_F(UnwinderTest, SignalFramesAreCrossed) {
  Capture capture;
  capture.stack_bytes = 8192;
  capture_in_signal_handler(capture);
  expect_beginning_of(capture.callers, unwind(capture), 7);
}

TEST_F(UnwinderTest, OneUnwinderServesManyHits) {
  Capture shallow;
  Capture deep;
  capture_recursion(shallow, 1);
  capture_recursion(deep, 9);
  const auto first = unwind(shallow);
  const auto second = unwind(deep);
  EXPECT_EQ(unwind(shallow), first);
  EXPECT_EQ(unwind(deep), second);
  ASSERT_FALSE(second.empty());
  EXPECT_EQ(second[0], deep.callers[0]);
}

TEST_F(UnwinderTest, CopiedBytesBoundTheWalk) {
  Capture capture;
  capture_recursion(capture, 20);
  const auto whole = unwind(capture);
  capture.stack.resize(capture.stack.size() / 2);
  const auto half = unwind(capture);
  EXPECT_LT(half.size(), whole.size());
  expect_beginning_of(whole, half, 2);
  capture.stack.clear();
  EXPECT_TRUE(unwind(capture).empty());
}

TEST_F(UnwinderTest, FrameLimitIsKept) {
  Capture capture;
  capture_recursion(capture, 9);
  const auto whole = unwind(capture);
  const auto three = unwind(capture, 3);
  EXPECT_EQ(three.size(), 3U);
  expect_beginning_of(whole, three, 3);
}

TEST_F(UnwinderTest, MissingRegistersGiveNoStack) {
  Capture capture;
  capture_recursion(capture, 2);
  UserRegisters registers = capture.registers;
  registers.captured &= ~(std::uint64_t{1} << native::kStackPointer);
  EXPECT_TRUE(unwinder_->unwind(registers, capture.stack).empty());
}

TEST_F(UnwinderTest, WildRegistersEndTheWalk) {
  Capture capture;
  capture_recursion(capture, 2);
  capture.registers.set(native::kInstructionPointer, 0x10);
  capture.registers.set(native::kFramePointer, 0x20);
  EXPECT_TRUE(unwind(capture).empty());
}

TEST_F(UnwinderTest, GarbageOnTheStackIsNotFollowedForEver) {
  Capture capture;
  capture_recursion(capture, 5);
  std::ranges::fill(capture.stack, std::byte{0x41});
  // Where there is a link register elfutils follows what it finds for another step or two.
  EXPECT_LE(unwind(capture).size(), dwarf_numbering().link_register ? 3U : 1U);
}

TEST_F(UnwinderTest, CostOfAnUnwindIsRecorded) {
  Capture capture;
  capture_recursion(capture, 10);
  const std::size_t frames = unwind(capture).size();
  constexpr int kRounds = 500;
  const auto begin = std::chrono::steady_clock::now();
  for (int round = 0; round < kRounds; ++round) ASSERT_EQ(unwind(capture).size(), frames);
  const std::chrono::duration<double, std::micro> cost = std::chrono::steady_clock::now() - begin;
  RecordProperty("frames", static_cast<int>(frames));
  RecordProperty("nanoseconds_per_unwind", static_cast<int>(cost.count() * 1000 / kRounds));
  EXPECT_LT(cost.count() / kRounds, 5000.0) << "microseconds";
}

}  // namespace
}  // namespace trapline::symbols
