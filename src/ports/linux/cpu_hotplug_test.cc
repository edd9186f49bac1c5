#include "trapline/linux/cpu_hotplug.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "ports/linux/cpu_hotplug_test_support.h"

namespace trapline {
namespace {

using hotplug::CallbackContext;
using hotplug::Direction;
using hotplug::Placement;
using hotplug::Section;
using hotplug::StateHandle;
using linux_port::testing::CpuHotplugTest;
using linux_port::testing::kSpareCpu;
using linux_port::testing::SpareCpu;
using namespace std::chrono_literals;

// A per-CPU resource that notes what happened to it.
class Resource {
 public:
  struct Call {
    CpuId cpu;
    Direction direction;
    bool on_cpu;
    bool lost;
    unsigned ran_on;
  };

  std::expected<void, Error> up(const CallbackContext& context) { return note(context); }
  std::expected<void, Error> down(const CallbackContext& context) { return note(context); }

  [[nodiscard]] std::vector<Call> calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  [[nodiscard]] std::vector<Call> calls_of(CpuId cpu) const {
    auto all = calls();
    std::erase_if(all, [&](const Call& call) { return call.cpu != cpu; });
    return all;
  }
  void refuse_teardown(bool refuse) { refuses_ = refuse; }

 private:
  std::expected<void, Error> note(const CallbackContext& context) {
    if (context.direction == Direction::teardown && refuses_)
      return std::unexpected(Error{ErrorCode::os_failure});
    const std::lock_guard lock(mutex_);
    calls_.push_back({context.cpu, context.direction, context.on_cpu, context.cpu_is_lost,
                      static_cast<unsigned>(::sched_getcpu())});
    return {};
  }

  mutable std::mutex mutex_;
  std::vector<Call> calls_;
  std::atomic<bool> refuses_ = false;
};

hotplug::StateDefinition online_state(Resource& resource) {
  return {.name = "test/resource:online",
          .placement = Placement::dynamic(Section::online),
          .startup = hotplug::method<&Resource::up>,
          .teardown = hotplug::method<&Resource::down>,
          .object = &resource};
}

std::unique_ptr<CpuHotplug> started(const CpuHotplugOptions& options = {}) {
  auto hotplug = CpuHotplug::start(options);
  EXPECT_TRUE(hotplug.has_value());
  return *std::move(hotplug);
}

std::uint32_t online_count(CpuHotplug& hotplug) {
  const std::shared_lock lock(hotplug.machine().online_cpus());
  return hotplug.machine().online_cpus().cpus().count();
}

bool soon(const std::function<bool()>& holds) {
  for (int tries = 0; tries < 500; ++tries) {
    if (holds()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

TEST(CpuHotplugStartTest, EveryOnlineCpuIsUpAndRunsItsCallbacksItself) {
  const auto hotplug = started();
  Resource resource;
  const auto state = hotplug->machine().setup_state(online_state(resource));
  ASSERT_TRUE(state.has_value());
  const auto calls = resource.calls();
  EXPECT_EQ(calls.size(), online_count(*hotplug));
  for (const auto& call : calls) {
    EXPECT_TRUE(call.on_cpu);
    EXPECT_EQ(call.ran_on, call.cpu.value);
  }
}

TEST(CpuHotplugStartTest, MachineWithoutCpuFolderIsAnError) {
  const auto hotplug = CpuHotplug::start({.cpu_folder = "/nonexistent"});
  ASSERT_FALSE(hotplug.has_value());
  EXPECT_EQ(hotplug.error().code, ErrorCode::not_supported);
}

TEST(CpuHotplugStartTest, CpuThatIsNotThereCannotComeUp) {
  const auto hotplug = started();
  const auto up = hotplug->machine().cpu_up(CpuId{hotplug->cpu_limit()});
  ASSERT_FALSE(up.has_value());
  EXPECT_EQ(up.error().code, ErrorCode::cpu_not_present);
}

TEST_F(CpuHotplugTest, ControlledDownTearsDownOnTheCpuBeforeItGoes) {
  const auto hotplug = started();
  Resource resource;
  const auto state = hotplug->machine().setup_state(online_state(resource));
  ASSERT_TRUE(hotplug->machine().cpu_down(kSpareCpu).has_value());
  const auto calls = resource.calls_of(kSpareCpu);
  ASSERT_EQ(calls.size(), 2U);
  EXPECT_EQ(calls[1].direction, Direction::teardown);
  EXPECT_TRUE(calls[1].on_cpu);
  EXPECT_FALSE(calls[1].lost);
  EXPECT_FALSE(linux_port::CpuFiles().online()->contains(kSpareCpu));
  ASSERT_TRUE(hotplug->machine().cpu_up(kSpareCpu).has_value());
  EXPECT_EQ(resource.calls_of(kSpareCpu).size(), 3U);
  // The kernel's late news of all this is no news.
  ASSERT_TRUE(hotplug->reconcile().has_value());
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(resource.calls_of(kSpareCpu).size(), 3U);
}

TEST_F(CpuHotplugTest, RefusedTeardownKeepsTheCpu) {
  const auto hotplug = started();
  Resource resource;
  const auto state = hotplug->machine().setup_state(online_state(resource));
  resource.refuse_teardown(true);
  const auto down = hotplug->machine().cpu_down(kSpareCpu);
  resource.refuse_teardown(false);
  ASSERT_FALSE(down.has_value());
  EXPECT_EQ(down.error().code, ErrorCode::os_failure);
  EXPECT_TRUE(linux_port::CpuFiles().online()->contains(kSpareCpu));
  EXPECT_EQ(hotplug->machine().status(kSpareCpu)->state, hotplug->machine().layout().online());
}

TEST_F(CpuHotplugTest, CpuThatOthersTakeAwayIsTornDownElsewhereAndToldSo) {
  const auto hotplug = started();
  Resource resource;
  const auto state = hotplug->machine().setup_state(online_state(resource));
  ASSERT_TRUE(SpareCpu::set_online(false));
  ASSERT_TRUE(soon([&] { return resource.calls_of(kSpareCpu).size() == 2; }));
  const auto call = resource.calls_of(kSpareCpu).back();
  EXPECT_TRUE(call.lost);
  EXPECT_FALSE(call.on_cpu);
  EXPECT_NE(call.ran_on, kSpareCpu.value);
  ASSERT_TRUE(SpareCpu::set_online(true));
  ASSERT_TRUE(soon([&] { return resource.calls_of(kSpareCpu).size() == 3; }));
  EXPECT_TRUE(resource.calls_of(kSpareCpu).back().on_cpu);
  const auto arrival = hotplug->arrival(kSpareCpu);
  ASSERT_TRUE(arrival.has_value());
  EXPECT_LE(arrival->earliest, arrival->learned);
}

TEST_F(CpuHotplugTest, LostCpuCannotBeVetoed) {
  const auto hotplug = started();
  Resource resource;
  const auto state = hotplug->machine().setup_state(online_state(resource));
  resource.refuse_teardown(true);
  ASSERT_TRUE(SpareCpu::set_online(false));
  ASSERT_TRUE(soon([&] {
    return hotplug->machine().status(kSpareCpu)->state == hotplug::StateLayout::offline();
  }));
  EXPECT_EQ(hotplug->machine().status(kSpareCpu)->unsettled, 1U);
  resource.refuse_teardown(false);
}

TEST_F(CpuHotplugTest, EveryFlapThatIsHeardOfInTimeIsALossAndAnArrival) {
  const auto hotplug = started();
  Resource resource;
  const auto state = hotplug->machine().setup_state(online_state(resource));
  constexpr std::size_t kFlaps = 5;
  for (std::size_t i = 0; i < kFlaps; ++i) {
    ASSERT_TRUE(SpareCpu::flap());
    ASSERT_TRUE(hotplug->reconcile().has_value());
    EXPECT_EQ(resource.calls_of(kSpareCpu).size(), 3 + 2 * i);
  }
}

// What is set up after the last of several flaps need not be set up for each.
TEST_F(CpuHotplugTest, FlapsHeardOfTogetherNeverCollapseIntoNothing) {
  const auto hotplug = started();
  Resource resource;
  const auto state = hotplug->machine().setup_state(online_state(resource));
  constexpr std::size_t kFlaps = 5;
  for (std::size_t i = 0; i < kFlaps; ++i) ASSERT_TRUE(SpareCpu::flap());
  ASSERT_TRUE(hotplug->reconcile().has_value());
  const auto calls = resource.calls_of(kSpareCpu);
  EXPECT_GE(calls.size(), 3U);
  EXPECT_LE(calls.size(), 1 + 2 * kFlaps);
  for (std::size_t i = 0; i < calls.size(); ++i)
    EXPECT_EQ(calls[i].direction, i % 2 == 0 ? Direction::startup : Direction::teardown);
}

TEST_F(CpuHotplugTest, FlapIsFoundWithoutEvents) {
  const auto hotplug = started({.listen = false});
  EXPECT_FALSE(hotplug->hears_events());
  Resource resource;
  const auto state = hotplug->machine().setup_state(online_state(resource));
  ASSERT_TRUE(SpareCpu::flap());
  ASSERT_TRUE(soon([&] { return resource.calls_of(kSpareCpu).size() == 3; }));
  EXPECT_TRUE(resource.calls_of(kSpareCpu)[1].lost);
}

TEST_F(CpuHotplugTest, CpuRestsWhereItWasSentThoughTheKernelTellsOfIt) {
  const auto hotplug = started();
  auto& machine = hotplug->machine();
  const hotplug::StateNumber prepared{1};
  ASSERT_TRUE(machine.set_target(kSpareCpu, prepared).has_value());
  ASSERT_TRUE(hotplug->reconcile().has_value());
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(machine.status(kSpareCpu)->state, prepared);
  const hotplug::StateNumber half_way = machine.layout().first_of(Section::online);
  ASSERT_TRUE(machine.set_target(kSpareCpu, half_way).has_value());
  ASSERT_TRUE(hotplug->reconcile().has_value());
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(machine.status(kSpareCpu)->state, half_way);
}

TEST_F(CpuHotplugTest, ArrivalThatFailedDoesNotSpoilTheNextCpuUp) {
  const auto hotplug = started();
  auto& machine = hotplug->machine();
  ASSERT_TRUE(machine.cpu_down(kSpareCpu).has_value());
  std::atomic<bool> fails = false;
  const auto state = machine.setup_state(
      {.name = "test/fails:prepare",
       .placement = Placement::dynamic(Section::prepare),
       .startup = [](const CallbackContext& context) -> std::expected<void, Error> {
         if (*static_cast<std::atomic<bool>*>(context.object))
           return std::unexpected(Error{ErrorCode::os_failure});
         return {};
       },
       .object = &fails});
  ASSERT_TRUE(state.has_value());
  fails = true;
  ASSERT_TRUE(SpareCpu::set_online(true));
  ASSERT_TRUE(soon([&] { return machine.status(kSpareCpu)->error.has_value(); }));
  ASSERT_TRUE(SpareCpu::set_online(false));
  ASSERT_TRUE(hotplug->reconcile().has_value());
  fails = false;
  EXPECT_TRUE(machine.cpu_up(kSpareCpu).has_value());
  EXPECT_EQ(machine.status(kSpareCpu)->state, machine.layout().online());
}

TEST(CpuHotplugMisuseTest, ReconcileUnderTheReadLockIsRefused) {
  const auto hotplug = started();
  const std::shared_lock lock(hotplug->machine().online_cpus());
  EXPECT_EQ(hotplug->reconcile().error().code, ErrorCode::lock_held);
}

TEST_F(CpuHotplugTest, CallerMayRunOnTheCpuItTakesDown) {
  const auto hotplug = started();
  std::thread caller([&] {
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(kSpareCpu.value, &only);
    ASSERT_EQ(::sched_setaffinity(0, sizeof only, &only), 0);
    EXPECT_TRUE(hotplug->machine().cpu_down(kSpareCpu).has_value());
    EXPECT_TRUE(hotplug->machine().cpu_up(kSpareCpu).has_value());
  });
  caller.join();
}

TEST_F(CpuHotplugTest, ReadLockHoldsTheCpusStill) {
  const auto hotplug = started();
  auto& cpus = hotplug->machine().online_cpus();
  std::atomic<bool> is_down = false;
  std::thread writer;
  {
    const std::shared_lock lock(cpus);
    writer = std::thread([&] {
      EXPECT_TRUE(hotplug->machine().cpu_down(kSpareCpu).has_value());
      is_down = true;
    });
    std::this_thread::sleep_for(100ms);
    EXPECT_FALSE(is_down);
    EXPECT_TRUE(cpus.cpus().contains(kSpareCpu));
  }
  writer.join();
  EXPECT_TRUE(is_down);
  const std::shared_lock lock(cpus);
  EXPECT_FALSE(cpus.cpus().contains(kSpareCpu));
}

TEST_F(CpuHotplugTest, ReadersSetupsAndHotplugGoOnTogether) {
  for (const auto fences : {linux_port::LinuxHotplugPort::Fences::automatic,
                            linux_port::LinuxHotplugPort::Fences::full}) {
    CpuHotplugOptions options;
    options.fences = fences;
    const auto hotplug = started(options);
    auto& machine = hotplug->machine();
    std::atomic<bool> stop = false;
    std::vector<std::thread> readers;
    for (int i = 0; i < 4; ++i) {
      readers.emplace_back([&] {
        while (!stop) {
          const std::shared_lock lock(machine.online_cpus());
          const CpuSet before = machine.online_cpus().cpus();
          std::this_thread::sleep_for(1ms);
          EXPECT_EQ(before, machine.online_cpus().cpus());
        }
      });
    }
    std::thread setups([&] {
      while (!stop) {
        std::this_thread::sleep_for(1ms);
        Resource resource;
        auto state = machine.setup_state(online_state(resource));
        ASSERT_TRUE(state.has_value());
        EXPECT_TRUE(machine.remove_state(*state).has_value());
        // Every startup has its teardown, whatever the CPUs did meanwhile.
        std::size_t ups = 0;
        const auto calls = resource.calls();
        for (const auto& call : calls) ups += call.direction == Direction::startup ? 1 : 0;
        EXPECT_EQ(ups * 2, calls.size());
      }
    });
    for (int i = 0; i < 5; ++i) {
      EXPECT_TRUE(machine.cpu_down(kSpareCpu).has_value());
      EXPECT_TRUE(machine.cpu_up(kSpareCpu).has_value());
      EXPECT_TRUE(SpareCpu::flap());
    }
    stop = true;
    setups.join();
    for (std::thread& reader : readers) reader.join();
    EXPECT_TRUE(hotplug->reconcile().has_value());
  }
}

class HangRecorder final : public hotplug::Tracer {
 public:
  void on_trace(const hotplug::TraceEvent& event) override {
    if (event.kind != hotplug::TraceEvent::Kind::hung) return;
    const std::lock_guard lock(mutex_);
    ++hangs_;
    name_ = event.name;
    cpu_ = event.cpu;
  }
  [[nodiscard]] int hangs() const {
    const std::lock_guard lock(mutex_);
    return hangs_;
  }
  [[nodiscard]] std::string name() const {
    const std::lock_guard lock(mutex_);
    return name_;
  }

 private:
  mutable std::mutex mutex_;
  int hangs_ = 0;
  std::string name_;
  CpuId cpu_;
};

TEST(CpuHotplugWatchdogTest, CallbackThatHangsIsReportedOnceWithItsState) {
  HangRecorder recorder;
  const auto hotplug = started({.tracer = &recorder, .hung_limit = Nanoseconds{20'000'000}});
  std::atomic<bool> go_on = false;
  std::thread helper([&] {
    EXPECT_TRUE(soon([&] { return recorder.hangs() > 0; }));
    std::this_thread::sleep_for(60ms);
    go_on = true;
  });
  const auto state = hotplug->machine().setup_state(
      {.name = "test/hangs:prepare",
       .placement = Placement::dynamic(Section::prepare),
       .startup = [](const CallbackContext& context) -> std::expected<void, Error> {
         const auto& free = *static_cast<std::atomic<bool>*>(context.object);
         while (!free) std::this_thread::sleep_for(1ms);
         return {};
       },
       .object = &go_on});
  helper.join();
  EXPECT_TRUE(state.has_value());
  EXPECT_EQ(recorder.hangs(), 1);
  EXPECT_EQ(recorder.name(), "test/hangs:prepare");
}

TEST(CpuHotplugMisuseTest, CallbackThatAsksForHotplugIsRefused) {
  const auto hotplug = started();
  struct Nosy {
    CpuHotplug& hotplug;
    std::vector<ErrorCode> answers;
  } nosy{*hotplug, {}};
  const auto state = hotplug->machine().setup_state(
      {.name = "test/nosy:online",
       .startup = [](const CallbackContext& context) -> std::expected<void, Error> {
         auto& self = *static_cast<Nosy*>(context.object);
         auto& machine = self.hotplug.machine();
         self.answers.push_back(machine.cpu_down(CpuId{0}).error().code);
         self.answers.push_back(machine.setup_state({.name = "test/inner:online"}).error().code);
         self.answers.push_back(self.hotplug.reconcile().error().code);
         return {};
       },
       .object = &nosy});
  ASSERT_TRUE(state.has_value());
  ASSERT_FALSE(nosy.answers.empty());
  for (const ErrorCode answer : nosy.answers) EXPECT_EQ(answer, ErrorCode::in_callback);
}

}  // namespace
}  // namespace trapline
