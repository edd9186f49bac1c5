#include "ports/fake/fake_port.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace trapline::fake {
namespace {

constexpr CpuId kCpu{1};

class FakePortTest : public ::testing::Test {
 protected:
  ErrorCode start_error() {
    const auto started = port_.start_cpu(kCpu);
    EXPECT_FALSE(started.has_value());
    return started ? ErrorCode{} : started.error().code;
  }
  // Runs on the CPU and tells what the work saw.
  struct Seen {
    std::string context;
    Interrupts interrupts{};
    bool on_cpu = false;
  };
  Seen run(Interrupts interrupts) {
    struct Work {
      FakePort& port;
      Seen seen;
    } work{port_, {}};
    port_.run_on(kCpu, interrupts,
                 {[](void* argument, bool on_cpu) {
                    auto& it = *static_cast<Work*>(argument);
                    const Context& context = it.port.current();
                    it.seen = {context.name(), context.interrupts, on_cpu};
                  },
                  &work});
    return work.seen;
  }

  FakeMachine machine_{2};
  FakePort port_{machine_, 2};
};

using FakePortDeathTest = FakePortTest;

TEST_F(FakePortTest, WorkRunsInTheContextOfTheCpuAndReturnsToTheCaller) {
  ASSERT_TRUE(port_.start_cpu(kCpu).has_value());
  const Seen seen = run(Interrupts::masked);
  EXPECT_EQ(seen.context, "hotplug thread of CPU 1");
  EXPECT_EQ(seen.interrupts, Interrupts::masked);
  EXPECT_TRUE(seen.on_cpu);
  EXPECT_EQ(&port_.current(), &port_.thread(0));
}

TEST_F(FakePortTest, WorkForACpuThatIsNotAllowedRunsElsewhereAndIsToldSo) {
  machine_.set_allowed(kCpu, false);
  ASSERT_TRUE(port_.start_cpu(kCpu).has_value());
  EXPECT_FALSE(run(Interrupts::enabled).on_cpu);
}

TEST_F(FakePortTest, EveryContextHasASlotOfItsOwn) {
  ReaderSlot<Word>& first = port_.reader_slot();
  port_.as_thread(1, [&] { EXPECT_NE(&port_.reader_slot(), &first); });
  EXPECT_EQ(&port_.reader_slot(), &first);
  unsigned slots = 0;
  port_.for_each_reader_slot([&](ReaderSlot<Word>&) { ++slots; });
  EXPECT_EQ(slots, 4U) << "two threads and the hotplug threads of two CPUs";
}

TEST_F(FakePortTest, AStartFailsOnceOrAlways) {
  machine_.fail_start(kCpu, ErrorCode::os_failure);
  EXPECT_EQ(start_error(), ErrorCode::os_failure);
  EXPECT_FALSE(machine_.is_on(kCpu));
  EXPECT_TRUE(port_.start_cpu(kCpu).has_value());
  ASSERT_TRUE(port_.stop_cpu(kCpu).has_value());
  machine_.fail_start(kCpu, ErrorCode::timed_out, Repeat::always);
  EXPECT_EQ(start_error(), ErrorCode::timed_out);
  EXPECT_EQ(start_error(), ErrorCode::timed_out);
  machine_.heal(kCpu);
  EXPECT_TRUE(port_.start_cpu(kCpu).has_value());
}

TEST_F(FakePortTest, ACpuThatArrivesLateIsNotSwitchedOnAgain) {
  machine_.fail_start(kCpu, ErrorCode::timed_out, Repeat::once, Arrival::late);
  EXPECT_EQ(start_error(), ErrorCode::timed_out);
  EXPECT_FALSE(port_.serves(kCpu));
  EXPECT_TRUE(machine_.is_on(kCpu));
  EXPECT_TRUE(port_.start_cpu(kCpu).has_value());
  EXPECT_EQ(machine_.power_on_count(kCpu), 1U);
}

TEST_F(FakePortTest, ACpuThatRefusesToStopStillServes) {
  ASSERT_TRUE(port_.start_cpu(kCpu).has_value());
  machine_.fail_stop(kCpu, ErrorCode::permission_denied);
  EXPECT_EQ(port_.stop_cpu(kCpu).error().code, ErrorCode::permission_denied);
  EXPECT_TRUE(run(Interrupts::enabled).on_cpu);
  EXPECT_TRUE(port_.stop_cpu(kCpu).has_value());
}

TEST_F(FakePortTest, AReleasedCpuStaysOn) {
  ASSERT_TRUE(port_.start_cpu(kCpu).has_value());
  port_.release_cpu(kCpu);
  EXPECT_TRUE(machine_.is_on(kCpu));
  EXPECT_FALSE(port_.serves(kCpu));
}

TEST_F(FakePortTest, TimePassesOnlyWhenToldTo) {
  EXPECT_EQ(port_.now(), Nanoseconds{0});
  machine_.advance(Nanoseconds{5});
  EXPECT_EQ(port_.now(), Nanoseconds{5});
}

TEST_F(FakePortDeathTest, WorkOnACpuThatIsNotStartedIsABug) {
  EXPECT_DEATH(run(Interrupts::enabled), "not started");
  ASSERT_TRUE(port_.start_cpu(kCpu).has_value());
  machine_.lose(kCpu);
  EXPECT_DEATH(run(Interrupts::enabled), "not started");
}

TEST_F(FakePortDeathTest, WaitingForNobodyIsABug) {
  Word word;
  word.store_release(1);
  port_.wait_while_equal(word, 0);
  EXPECT_DEATH(port_.wait_while_equal(word, 1), "nobody else");
  Mutex mutex;
  mutex.lock();
  EXPECT_DEATH(mutex.lock(), "locked twice");
}

}  // namespace
}  // namespace trapline::fake
