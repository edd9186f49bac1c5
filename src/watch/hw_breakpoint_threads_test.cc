// HwBreakpoint asked by several threads at once, on a port whose contexts are real threads: for
// TSan, and with threads stopped where their order matters.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "trapline/watch/hw_breakpoint.h"

namespace trapline {
namespace {

using hotplug::Placement;
using hotplug::Section;

constexpr hotplug::StateLayout kLayout{.prepare_fixed = 1,
                                       .prepare_dynamic = 0,
                                       .starting_fixed = 1,
                                       .online_fixed = 2,
                                       .online_dynamic = 1};
constexpr std::uint32_t kCpuCount = 2;

class Word {
 public:
  [[nodiscard]] std::uint32_t load_relaxed() const { return value_.load(); }
  [[nodiscard]] std::uint32_t load_acquire() const { return value_.load(); }
  void store_relaxed(std::uint32_t value) { value_.store(value); }
  void store_release(std::uint32_t value) { value_.store(value); }

 private:
  std::atomic<std::uint32_t> value_{0};
};

// CPUs whose hotplug thread is whichever thread asks for its work: the machine's locks let one at a
// time.
class ThreadedPort {
 public:
  using Word = trapline::Word;
  using Mutex = std::mutex;

  [[nodiscard]] ReaderSlot<Word>& reader_slot() { return slots_[context()]; }
  template <typename Visitor>
  void for_each_reader_slot(Visitor visit) {
    for (ReaderSlot<Word>& slot : slots_) visit(slot);
  }
  void asymmetric_fence_light() {}  // all words are sequentially consistent
  void asymmetric_fence_heavy() {}
  void wait_while_equal(Word& word, std::uint32_t value) {
    while (word.load_acquire() == value) std::this_thread::yield();
  }
  void wake(Word& /*who waits looks*/) {}
  [[noreturn]] void bug(const char* message) {
    ADD_FAILURE() << message;
    std::abort();
  }

  [[nodiscard]] bool is_present(CpuId cpu) const { return cpu.value < kCpuCount; }
  [[nodiscard]] std::expected<void, Error> start_cpu(CpuId /*cpu*/) { return {}; }
  [[nodiscard]] std::expected<void, Error> stop_cpu(CpuId /*cpu*/) { return {}; }
  void release_cpu(CpuId /*cpu*/) {}
  void run_on(CpuId cpu, Interrupts /*interrupts*/, CpuWork work) {
    const std::size_t caller = std::exchange(context(), kThreads + cpu.value);
    work.run(work.argument, true);
    context() = caller;
  }
  [[nodiscard]] Nanoseconds now() const { return {}; }

  // The calling thread is one that may use the machine, under a number of its own.
  static void be_thread(std::size_t number) { context() = number; }
  // Of the work that the calling thread does.
  [[nodiscard]] static CpuId cpu() {
    return CpuId{static_cast<std::uint32_t>(context() - kThreads)};
  }

 private:
  static constexpr std::size_t kThreads = 3;
  static std::size_t& context() {
    thread_local std::size_t number = 0;
    return number;
  }
  std::array<ReaderSlot<Word>, kThreads + kCpuCount> slots_;
};
static_assert(HotplugPort<ThreadedPort>);

// Registers that accept everything.
class ThreadedDebug {
 public:
  [[nodiscard]] DebugArchitecture architecture() const {
    if (const auto hook = std::exchange(before_plan, nullptr)) hook();
    return armv7_debug_architecture(
        1, 2, ByteCount{8}, {Access::read, Access::write, Access::read_write, Access::execute});
  }
  [[nodiscard]] std::expected<void, Error> reset_ctrl_regs() {
    if (const auto hook = std::exchange(in_reset, nullptr)) hook();
    if (ThreadedPort::cpu() == broken) return std::unexpected(Error{ErrorCode::not_supported});
    return {};
  }
  [[nodiscard]] std::expected<void, Error> install(const DebugSlot& /*slot*/) {
    ++installed;
    return {};
  }
  void remove(const DebugSlot& /*slot*/) { --installed; }

  // What else happens in the middle of one call, once.
  mutable std::function<void()> before_plan;
  std::function<void()> in_reset;
  std::optional<CpuId> broken;
  std::atomic<int> installed{0};
};

class HwBreakpointThreadsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (std::uint32_t id = 0; id < kCpuCount; ++id)
      ASSERT_TRUE(machine_.cpu_up(CpuId{id}).has_value());
  }
  // Runs on another thread; the result is there when it is done.
  template <typename Function>
  [[nodiscard]] static auto on_thread(std::size_t number, Function function) {
    return std::async(std::launch::async, [number, function] {
      ThreadedPort::be_thread(number);
      return function();
    });
  }
  // Long enough for the other thread to get through, if nothing holds it.
  template <typename Result>
  [[nodiscard]] static bool waits(const std::future<Result>& other) {
    return other.wait_for(std::chrono::milliseconds(100)) == std::future_status::timeout;
  }

  ThreadedPort port_;
  hotplug::StaticStorage<kCpuCount, kLayout> storage_;
  hotplug::StateMachine<ThreadedPort> machine_{port_, kLayout, storage_.cpus, storage_.states};
  ThreadedDebug debug_;
  HwBreakpoint<ThreadedDebug, ThreadedPort> facility_{
      machine_,
      debug_,
      {Placement::fixed(Section::online, 0), Placement::fixed(Section::online, 1)}};
};

constexpr Request kRequest{RemoteAddress(0x1000), ByteCount{4}, Access::write};

TEST_F(HwBreakpointThreadsTest, OneOfTwoThreadsAddsAWatch) {
  ASSERT_TRUE(facility_.enable().has_value());
  CpuWatch watch;
  std::future<std::expected<void, Error>> other;
  debug_.before_plan = [&] {
    other = on_thread(1, [&] { return facility_.add(watch, kRequest); });
    EXPECT_TRUE(waits(other));
  };
  EXPECT_TRUE(facility_.add(watch, kRequest).has_value());
  EXPECT_EQ(other.get(), std::unexpected(Error{ErrorCode::duplicate}));
  EXPECT_EQ(facility_.free_slots(false), 1U);
  ASSERT_TRUE(facility_.remove(watch).has_value());
  EXPECT_EQ(facility_.free_slots(false), 2U);
  EXPECT_EQ(debug_.installed, 0);
}

TEST_F(HwBreakpointThreadsTest, OneOfTwoThreadsEnables) {
  std::future<std::expected<void, Error>> other;
  debug_.in_reset = [&] {
    other = on_thread(1, [&] { return facility_.enable(); });
    EXPECT_TRUE(waits(other));
  };
  EXPECT_TRUE(facility_.enable().has_value());
  EXPECT_EQ(other.get(), std::unexpected(Error{ErrorCode::wrong_state}));
  EXPECT_TRUE(facility_.is_enabled());
  EXPECT_TRUE(facility_.disable().has_value());
}

TEST_F(HwBreakpointThreadsTest, TheMaskIsReadBetweenResets) {
  debug_.broken = CpuId{1};
  std::future<CpuSet> other;
  debug_.in_reset = [&] {
    other = on_thread(1, [&] { return facility_.debug_err_mask(); });
    EXPECT_TRUE(waits(other)) << "half of the CPUs were reset";
  };
  EXPECT_EQ(facility_.enable(), std::unexpected(Error{ErrorCode::not_supported}));
  CpuSet expected;
  expected.insert(CpuId{1});
  EXPECT_EQ(other.get(), expected);
}

// TSan sees what is not ordered.
TEST_F(HwBreakpointThreadsTest, EverythingAtOnce) {
  constexpr int kTurns = 200;
  const auto watches = on_thread(1, [&] {
    int added = 0;
    for (int turn = 0; turn < kTurns; ++turn) {
      CpuWatch watch;
      if (!facility_.add(watch, kRequest)) continue;
      ++added;
      EXPECT_TRUE(facility_.remove(watch).has_value());
    }
    return added;
  });
  const auto looks = on_thread(2, [&] {
    for (int turn = 0; turn < kTurns; ++turn) {
      EXPECT_TRUE(facility_.debug_err_mask().empty());
      static_cast<void>(facility_.is_enabled());
      EXPECT_TRUE(machine_.cpu_down(CpuId{1}).has_value());
      EXPECT_TRUE(machine_.cpu_up(CpuId{1}).has_value());
    }
  });
  for (int turn = 0; turn < kTurns; ++turn) {
    ASSERT_TRUE(facility_.enable().has_value());
    std::this_thread::yield();
    // While there is a watch it is refused.
    while (!facility_.disable()) std::this_thread::yield();
  }
  watches.wait();
  looks.wait();
  EXPECT_EQ(debug_.installed, 0);
}

}  // namespace
}  // namespace trapline
