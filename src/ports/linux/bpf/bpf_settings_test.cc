// The programs under settings that a machine may have. They are changed, so only in a guest of
// tests/vm.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "ports/linux/bpf/bpf_collector.h"
#include "ports/linux/perf_test_support.h"
#include "ports/linux/proc_fs.h"

namespace trapline::linux_port::testing {
namespace {

alignas(8) volatile std::uint64_t word;

constexpr const char* kMaxStack = "/proc/sys/kernel/perf_event_max_stack";

class BpfSettings : public ::testing::Test {
 protected:
  void SetUp() override {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    if (std::getenv("TRAPLINE_GUEST") == nullptr)
      GTEST_SKIP() << "it changes a setting of the machine; tests/vm/run runs it in a guest";
    before_ = read_number(kMaxStack).value();
  }
  void TearDown() override {
    if (before_ == 0) return;
    EXPECT_TRUE(set_max_stack(before_));
  }
  // The kernel refuses until the last event that walked stacks is gone, a moment after its end.
  static bool set_max_stack(std::int64_t frames) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!(std::ofstream(kMaxStack) << frames << std::flush)) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

  std::int64_t before_ = 0;
};

TEST_F(BpfSettings, ShortStacksOfTheKernelAreTaken) {
  TargetProcess target([](SharedPage& page) {
    page.ready = 1;
    if (wait_for(page.stage, 1)) word = 1;
    page.ready = 2;
    wait_for(page.stage, 9);
  });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  ASSERT_TRUE(set_max_stack(16));
  const auto collector = make_bpf_collector();
  RecordingSink sink;
  const auto report = collector->install({.pid = target.pid()}, plan_for(&word, 8), {});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  target.shared().stage = 1;
  ASSERT_TRUE(pump(*collector, sink, [&] { return target.shared().ready >= 2; }));
  collector->stop(sink);
  ASSERT_EQ(sink.hits.size(), 1U);
  EXPECT_FALSE(sink.hits[0].callers.empty());
}

}  // namespace
}  // namespace trapline::linux_port::testing
