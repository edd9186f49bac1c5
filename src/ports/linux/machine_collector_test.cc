#include "ports/linux/machine_collector.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "ports/linux/bpf/bpf_machine_collector.h"
#include "ports/linux/cpu_hotplug_test_support.h"
#include "ports/linux/native_architecture.h"
#include "ports/linux/perf_event.h"
#include "ports/linux/perf_machine_collector.h"
#include "ports/linux/proc_fs.h"
#include "trapline/watch/plan.h"

namespace trapline::linux_port {
namespace {

using testing::kSpareCpu;
using testing::SpareCpu;
using testing::why_no_hotplug;
using namespace std::chrono_literals;

class CpuEvents final : public SampleSink {
 public:
  void on_sample(const Sample&) override {}
  void on_event(const TargetEvent& event) override {
    if (event.kind == TargetEvent::Kind::process_exited) ended_.insert(event.pid.value);
  }
  void on_lost(std::uint64_t count) override { lost += count; }
  void on_cpu(const CpuEvent& event) override { events.push_back(event); }

  [[nodiscard]] bool has_ended(pid_t pid) const { return ended_.contains(pid); }

  std::vector<CpuEvent> events;
  std::uint64_t lost = 0;

 private:
  std::set<pid_t> ended_;
};

alignas(8) volatile std::uint64_t watched_word = 0;

Plan plan_for_word() {
  return make_plan(Request{RemoteAddress::of_local(&watched_word), ByteCount{8}, Access::write},
                   native_debug_architecture())
      .value();
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator open("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(open), end(open)));
}

struct MachineCollectorKind {
  std::string_view name;
  std::unique_ptr<MachineCollector> (*make)();
};
const auto kKinds = ::testing::Values(MachineCollectorKind{"bpf", make_bpf_machine_collector},
                                      MachineCollectorKind{"perf", make_perf_machine_collector});
std::string name_of_kind(const ::testing::TestParamInfo<MachineCollectorKind>& info) {
  return std::string(info.param.name);
}

class MachineCollectors : public ::testing::TestWithParam<MachineCollectorKind> {
 protected:
  void SetUp() override {
    auto report = collector_->install({.pid = {}, .whole_machine = true}, plan_for_word(), {});
    if (!report && report.error().error.code == ErrorCode::permission_denied)
      GTEST_SKIP() << report.error().message;
    ASSERT_TRUE(report.has_value()) << report.error().message;
    report_ = *report;
  }
  // Drains until there are `count` events of CPUs; false after five seconds.
  [[nodiscard]] bool wait_for(std::size_t count) {
    for (int tries = 0; tries < 1000 && sink_.events.size() < count; ++tries) {
      std::this_thread::sleep_for(5ms);
      EXPECT_TRUE(collector_->drain(sink_).has_value());
    }
    return sink_.events.size() >= count;
  }

  std::unique_ptr<MachineCollector> collector_ = GetParam().make();
  InstallReport report_;
  CpuEvents sink_;
};

INSTANTIATE_TEST_SUITE_P(Collectors, MachineCollectors, kKinds, name_of_kind);

TEST_P(MachineCollectors, WatchesEveryOnlineCpu) {
  EXPECT_EQ(report_.cpus, online_cpus().value());
  EXPECT_EQ(report_.slots, 1U);
}

// Those that take a CPU away.
class MachineCollectorsThroughHotplug : public MachineCollectors {
 protected:
  void SetUp() override {
    if (const std::string reason = why_no_hotplug(); !reason.empty()) GTEST_SKIP() << reason;
    MachineCollectors::SetUp();
  }

  SpareCpu cpu1_;
};

INSTANTIATE_TEST_SUITE_P(Collectors, MachineCollectorsThroughHotplug, kKinds, name_of_kind);

// All debug registers of CPU 1 for this thread, while the CPU is offline. That it is so is told
// before the watch has given its own back there.
std::vector<PerfEvent> take_registers_of_spare_cpu() {
  const std::size_t count = native_debug_architecture().data_slots;
  std::vector<PerfEvent> taken;
  for (int tries = 0; tries < 1000 && taken.size() < count; ++tries) {
    const SlotRequest slot =
        make_plan(Request{RemoteAddress(0x20000 + 8 * taken.size()), ByteCount{8}, Access::write},
                  native_debug_architecture())
            .value()
            .slots()[0];
    auto event = PerfEvent::open(breakpoint_attributes(slot, {}), ThreadId{0}, kSpareCpu);
    if (event) {
      taken.push_back(*std::move(event));
    } else {
      std::this_thread::sleep_for(5ms);
    }
  }
  EXPECT_EQ(taken.size(), count);
  return taken;
}

TEST_P(MachineCollectorsThroughHotplug, CpuWithoutAFreeRegisterIsToldOnceAndWatchedLater) {
  ASSERT_TRUE(SpareCpu::set_online(false));
  ASSERT_TRUE(wait_for(1));
  EXPECT_EQ(sink_.events[0].gap, Nanoseconds{});
  auto taken = take_registers_of_spare_cpu();
  ASSERT_TRUE(SpareCpu::set_online(true));
  ASSERT_TRUE(wait_for(2));
  const CpuEvent refused = sink_.events[1];
  EXPECT_EQ(refused.kind, CpuEvent::Kind::online);
  EXPECT_TRUE(refused.cpu_was_offline);
  EXPECT_FALSE(refused.watched);
  EXPECT_THAT(refused.reason, ::testing::HasSubstr("too few free debug registers on CPU 1"));
  for (int i = 0; i < 120; ++i) {
    std::this_thread::sleep_for(5ms);
    ASSERT_TRUE(collector_->drain(sink_).has_value());
  }
  EXPECT_EQ(sink_.events.size(), 2U) << "it is told once";
  taken.clear();
  ASSERT_TRUE(wait_for(3));
  const CpuEvent& again = sink_.events[2];
  EXPECT_EQ(again.kind, CpuEvent::Kind::online);
  EXPECT_TRUE(again.watched);
  EXPECT_FALSE(again.cpu_was_offline);
  EXPECT_GT(again.gap.value, 600'000'000U);
}

TEST_P(MachineCollectorsThroughHotplug, UnwatchedCpuThatGoesOfflineTellsNoGapItself) {
  ASSERT_TRUE(SpareCpu::set_online(false));
  ASSERT_TRUE(wait_for(1));
  const auto taken = take_registers_of_spare_cpu();
  ASSERT_TRUE(SpareCpu::set_online(true));
  ASSERT_TRUE(wait_for(2));
  EXPECT_FALSE(sink_.events[1].watched);
  ASSERT_TRUE(SpareCpu::set_online(false));
  ASSERT_TRUE(wait_for(3));
  EXPECT_EQ(sink_.events[2].kind, CpuEvent::Kind::offline);
  EXPECT_EQ(sink_.events[2].gap, Nanoseconds{});
}

TEST_P(MachineCollectorsThroughHotplug, EveryCycleIsReportedAndWatchedAgain) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
  const char* const wanted = std::getenv("TRAPLINE_HOTPLUG_CYCLES");
  const std::size_t cycles = wanted == nullptr ? 20 : static_cast<std::size_t>(std::atoi(wanted));
  const std::size_t descriptors = open_descriptors();
  std::vector<std::uint64_t> reinstalls;
  std::vector<std::uint64_t> gaps;
  for (std::size_t i = 0; i < cycles; ++i) {
    ASSERT_TRUE(SpareCpu::set_online(false));
    ASSERT_TRUE(wait_for(2 * i + 1)) << "cycle " << i;
    EXPECT_EQ(sink_.events.back().kind, CpuEvent::Kind::offline);
    ASSERT_TRUE(SpareCpu::set_online(true));
    ASSERT_TRUE(wait_for(2 * i + 2)) << "cycle " << i;
    const CpuEvent& online = sink_.events.back();
    EXPECT_EQ(online.kind, CpuEvent::Kind::online);
    EXPECT_EQ(online.cpu, kSpareCpu);
    EXPECT_TRUE(online.watched) << online.reason;
    EXPECT_LE(online.reinstall, online.gap);
    reinstalls.push_back(online.reinstall.value);
    gaps.push_back(online.gap.value);
  }
  EXPECT_EQ(sink_.events.size(), 2 * cycles);
  EXPECT_EQ(open_descriptors(), descriptors);
  std::ranges::sort(reinstalls);
  std::ranges::sort(gaps);
  const auto in_ms = [](std::uint64_t ns) { return static_cast<double>(ns) / 1e6; };
  std::printf(
      "%s, %zu cycles: watch set again %.3f ms after the kernel's event (median; largest %.3f ms), "
      "gap "
      "at "
      "most %.3f ms (median; largest %.3f ms)\n",
      std::string(GetParam().name).c_str(), cycles, in_ms(reinstalls[cycles / 2]),
      in_ms(reinstalls.back()), in_ms(gaps[cycles / 2]), in_ms(gaps.back()));
}

TEST_P(MachineCollectors, CallsOutOfOrderAreRefused) {
  EXPECT_EQ(collector_->install({.pid = {}, .whole_machine = true}, plan_for_word(), {})
                .error()
                .error.code,
            ErrorCode::wrong_state);
  EXPECT_EQ(GetParam().make()->add(plan_for_word()).error().error.code, ErrorCode::wrong_state);
}

TEST_P(MachineCollectors, SecondPlanComesAndGoes) {
  const std::size_t descriptors = open_descriptors();
  const Plan second = make_plan(Request{RemoteAddress(0x10000), ByteCount{4}, Access::write},
                                native_debug_architecture())
                          .value();
  ASSERT_TRUE(collector_->add(second).has_value());
  EXPECT_GT(open_descriptors(), descriptors);
  collector_->remove(second);
  EXPECT_EQ(open_descriptors(), descriptors);
}

TEST_P(MachineCollectors, ProcessEndsWithItsLastThread) {
  int input[2];
  ASSERT_EQ(::pipe2(input, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(input[0], STDIN_FILENO);
    ::execl(OUTLIVED_MAIN_TARGET, OUTLIVED_MAIN_TARGET, nullptr);
    ::_exit(127);
  }
  ::close(input[0]);
  const auto drain_for = [&](int times) {
    for (int i = 0; i < times && !sink_.has_ended(child); ++i) {
      std::this_thread::sleep_for(5ms);
      EXPECT_TRUE(collector_->drain(sink_).has_value());
    }
  };
  drain_for(60);
  EXPECT_FALSE(sink_.has_ended(child));
  ::close(input[1]);
  drain_for(400);
  EXPECT_TRUE(sink_.has_ended(child));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_P(MachineCollectors, PlansThatComeAndGoLeaveNothingAndAreNotLost) {
  const Plan second = make_plan(Request{RemoteAddress(0x10000), ByteCount{4}, Access::write},
                                native_debug_architecture())
                          .value();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(collector_->add(second).has_value());
    collector_->remove(second);
    std::this_thread::sleep_for(3ms);
    ASSERT_TRUE(collector_->drain(sink_).has_value());
  }
  collector_->stop(sink_);
  EXPECT_EQ(sink_.lost, 0U);
}

TEST_P(MachineCollectors, TooManyPlansAreRefusedAndLeaveNothing) {
  const std::size_t descriptors = open_descriptors();
  std::size_t added = 0;
  Result<void> outcome;
  while (added <= kMaxPlanSlots) {
    outcome = collector_->add(
        make_plan(Request{RemoteAddress(0x10000 + 8 * added), ByteCount{8}, Access::write},
                  native_debug_architecture())
            .value());
    if (!outcome) break;
    ++added;
  }
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().error.code, ErrorCode::no_free_slot);
  EXPECT_EQ(open_descriptors(), descriptors + added * report_.cpus.count());
}

TEST_P(MachineCollectors, StopFreesEverything) {
  collector_->stop(sink_);
  const auto again = GetParam().make();
  EXPECT_TRUE(again->install({.pid = {}, .whole_machine = true}, plan_for_word(), {}).has_value());
  again->stop(sink_);
}

}  // namespace
}  // namespace trapline::linux_port
