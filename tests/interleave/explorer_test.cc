// The explorer itself: it finds what is known to be there, and nothing else.
#include "interleave/explorer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ports/fake/fake_machine.h"
#include "ports/fake/fake_port.h"

namespace trapline::interleave {
namespace {

using ::testing::HasSubstr;

// Threads and checks as functions, on words and a mutex.
class SmallProgram final : public Program {
 public:
  struct Shared {
    fake::FakeMachine machine{1};
    fake::FakePort port{machine, 3};
    fake::Word x;
    fake::Word y;
    fake::Mutex mutex;
    fake::Mutex other_mutex;
    std::uint32_t plain[3] = {};
  };
  using Body = std::function<void(Shared&, Explorer&)>;

  explicit SmallProgram(std::vector<Body> threads, Body check = nullptr)
      : threads_(std::move(threads)), check_(std::move(check)) {}

  [[nodiscard]] std::size_t thread_count() const override { return threads_.size(); }
  void begin(Explorer& explorer) override {
    explorer_ = &explorer;
    shared_ = std::make_unique<Shared>();
    explorer.set_current(shared_->port.thread(0));
  }
  [[nodiscard]] fake::Context& context(std::size_t thread) override {
    return shared_->port.thread(thread);
  }
  void run(std::size_t thread) override { threads_[thread](*shared_, *explorer_); }
  void end() override {
    if (check_) check_(*shared_, *explorer_);
  }
  void abandon() override {}
  [[nodiscard]] std::string describe(std::size_t thread) const override {
    return "thread " + std::to_string(thread);
  }

 private:
  std::vector<Body> threads_;
  Body check_;
  Explorer* explorer_ = nullptr;
  std::unique_ptr<Shared> shared_;
};

using Shared = SmallProgram::Shared;

void increment(Shared& shared, Explorer&) {
  shared.x.store_release(shared.x.load_acquire() + 1);
}
void expect_two(Shared& shared, Explorer& explorer) {
  if (shared.x.load_relaxed() != 2) explorer.violation("an update was lost");
}

TEST(ExplorerTest, OneThreadHasOneSchedule) {
  Explorer explorer;
  SmallProgram program({increment});
  const Report report = explorer.explore(program, 3);
  EXPECT_EQ(report.schedules, 1U);
  EXPECT_FALSE(report.violation.has_value());
}

TEST(ExplorerTest, WithoutPreemptionsThreadsRunWholeInEveryOrder) {
  Explorer explorer;
  SmallProgram program({increment, increment, increment});
  EXPECT_EQ(explorer.explore(program, 0).schedules, 6U);
}

TEST(ExplorerTest, FindsALostUpdateWithOnePreemptionAndTellsHow) {
  Explorer explorer;
  SmallProgram program({increment, increment}, expect_two);
  EXPECT_FALSE(explorer.explore(program, 0).violation.has_value());
  const Report report = explorer.explore(program, 1);
  ASSERT_TRUE(report.violation.has_value());
  EXPECT_EQ(report.violation->message, "an update was lost");
  EXPECT_THAT(text_of(*report.violation),
              HasSubstr("A: looks at word 1\n  A is preempted\n  B: looks at word 1\n"));
}

TEST(ExplorerTest, AViolationIsFoundAgainByItsChoices) {
  Explorer explorer;
  SmallProgram program({increment, increment}, expect_two);
  const Report found = explorer.explore(program, 3);
  ASSERT_TRUE(found.violation.has_value());
  Explorer another;
  const Report again = another.replay(program, 3, found.violation->choices);
  ASSERT_TRUE(again.violation.has_value());
  EXPECT_EQ(text_of(*again.violation), text_of(*found.violation));
}

TEST(ExplorerTest, AMutexPreventsTheLostUpdate) {
  const auto locked = [](Shared& shared, Explorer& explorer) {
    shared.mutex.lock();
    increment(shared, explorer);
    shared.mutex.unlock();
  };
  Explorer explorer;
  SmallProgram program({locked, locked, locked}, [](Shared& shared, Explorer& it) {
    if (shared.x.load_relaxed() != 3) it.violation("an update was lost");
  });
  const Report report = explorer.explore(program, 4);
  EXPECT_FALSE(report.violation.has_value()) << text_of(*report.violation);
  EXPECT_GT(report.schedules, 6U);
}

TEST(ExplorerTest, FindsTheDeadlockOfTwoMutexesTakenInTwoOrders) {
  Explorer explorer;
  SmallProgram program({[](Shared& shared, Explorer&) {
                          shared.mutex.lock();
                          shared.other_mutex.lock();
                          shared.other_mutex.unlock();
                          shared.mutex.unlock();
                        },
                        [](Shared& shared, Explorer&) {
                          shared.other_mutex.lock();
                          shared.mutex.lock();
                          shared.mutex.unlock();
                          shared.other_mutex.unlock();
                        }});
  const Report report = explorer.explore(program, 1);
  ASSERT_TRUE(report.violation.has_value());
  EXPECT_EQ(report.violation->message, "deadlock");
  EXPECT_THAT(text_of(*report.violation), HasSubstr("sleeps since it locks mutex"));
}

TEST(ExplorerTest, FindsAWakeThatIsMissing) {
  for (const bool wakes : {true, false}) {
    Explorer explorer;
    SmallProgram program(
        {[](Shared& shared, Explorer&) { shared.port.wait_while_equal(shared.x, 0); },
         [wakes](Shared& shared, Explorer&) {
           shared.x.store_release(1);
           if (wakes) shared.port.wake(shared.x);
         }});
    EXPECT_EQ(explorer.explore(program, 2).violation.has_value(), !wakes);
  }
}

TEST(ExplorerTest, AWaitMayReturnEarly) {
  const auto wait = [](Shared& shared, Explorer& it) {
    shared.port.wait_while_equal(shared.x, 0);
    if (shared.x.load_acquire() == 0) it.violation("it returned early");
  };
  const auto wake = [](Shared& shared, Explorer&) {
    shared.x.store_release(1);
    shared.port.wake(shared.x);
  };
  Explorer explorer;
  SmallProgram program({wait, wake});
  EXPECT_FALSE(explorer.explore(program, 0).violation.has_value());
  EXPECT_TRUE(explorer.explore(program, 1).violation.has_value());
}

TEST(ExplorerTest, ARunWithoutEndIsAViolation) {
  Explorer explorer;
  SmallProgram program({[](Shared& shared, Explorer&) {
    while (shared.x.load_acquire() == 0) {
    }
  }});
  const Report report = explorer.explore(program, 0);
  ASSERT_TRUE(report.violation.has_value());
  EXPECT_EQ(report.violation->message, "the run does not end");
}

// The litmus test SB of the x86-TSO paper: each stores to its own word and reads the other's.
SmallProgram store_buffering(bool has_fences) {
  return SmallProgram({[has_fences](Shared& shared, Explorer&) {
                         shared.x.store_relaxed(1);
                         if (has_fences) shared.port.asymmetric_fence_light();
                         shared.plain[0] = shared.y.load_relaxed();
                       },
                       [has_fences](Shared& shared, Explorer&) {
                         shared.y.store_relaxed(1);
                         if (has_fences) shared.port.asymmetric_fence_heavy();
                         shared.plain[1] = shared.x.load_relaxed();
                       }},
                      [](Shared& shared, Explorer& explorer) {
                        if (shared.plain[0] == 0 && shared.plain[1] == 0)
                          explorer.violation("both read 0");
                      });
}

TEST(ExplorerTest, StoresAreSeenLateUnlessFencesForbidIt) {
  Explorer explorer;
  SmallProgram without = store_buffering(false);
  const Report report = explorer.explore(without, 2);
  ASSERT_TRUE(report.violation.has_value());
  EXPECT_THAT(text_of(*report.violation), HasSubstr("which stays in the store buffer"));
  SmallProgram with = store_buffering(true);
  EXPECT_FALSE(explorer.explore(with, 4).violation.has_value());
}

TEST(ExplorerTest, AContextReadsItsOwnDelayedStore) {
  Explorer explorer;
  bool was_late = false;
  SmallProgram program({[](Shared& shared, Explorer& it) {
                          shared.x.store_relaxed(1);
                          if (shared.x.load_relaxed() != 1) it.violation("it does not see its own");
                          shared.plain[0] = 1;
                          it.step("has looked");
                        },
                        [&](Shared& shared, Explorer&) {
                          if (shared.x.load_relaxed() == 0 && shared.plain[0] == 1) was_late = true;
                        }});
  EXPECT_FALSE(explorer.explore(program, 3).violation.has_value());
  EXPECT_TRUE(was_late);
}

// Message passing, litmus test MP: stores of one context are seen in order.
TEST(ExplorerTest, StoresOfOneContextAreSeenInOrder) {
  Explorer explorer;
  SmallProgram program({[](Shared& shared, Explorer&) {
                          shared.x.store_relaxed(1);
                          shared.y.store_relaxed(1);
                        },
                        [](Shared& shared, Explorer& it) {
                          const bool is_ready = shared.y.load_relaxed() == 1;
                          if (is_ready && shared.x.load_relaxed() == 0) it.violation("reordered");
                        }});
  EXPECT_FALSE(explorer.explore(program, 4).violation.has_value());
}

TEST(ExplorerTest, ABugOfThePortEndsTheRunAsAViolation) {
  Explorer explorer;
  SmallProgram program({[](Shared& shared, Explorer&) { shared.port.bug("broken rule"); }});
  const Report report = explorer.explore(program, 0);
  ASSERT_TRUE(report.violation.has_value());
  EXPECT_EQ(report.violation->message, "broken rule");
  SmallProgram fine({increment, increment});
  EXPECT_FALSE(explorer.explore(fine, 2).violation.has_value()) << "it explores again afterwards";
}

}  // namespace
}  // namespace trapline::interleave
