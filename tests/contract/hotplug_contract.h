// What every port of the hotplug state machine has to show, as a typed GoogleTest suite:
//
//     INSTANTIATE_TYPED_TEST_SUITE_P(Fake, HotplugContract, FakeUnderTest);
//
// The type is the machine under test, made anew for each test. It has
//     using Port
//     port()         the Port
//     anchor()       a CPU that is online from the start and stays so
//     others()       CPUs that start_cpu and stop_cpu may be used on, at rest at the start,
//     ascending,
//                    above the anchor. Tests that need one are skipped if there is none.
//     room()         one more than the largest CpuId
//     is_here(cpu)   whether the caller runs on that CPU, asked of the machine itself
//     kCycles        how often a CPU is taken down and up where that is repeated
//     kHistories     how many random histories are compared with the model
// Where contexts are threads that run at the same time, hotplug_contract_threads.h has more.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "contract/hotplug_history.h"
#include "trapline/hotplug/state_machine.h"

namespace trapline::contract {

using hotplug::Placement;
using hotplug::Section;
using hotplug::StateHandle;

inline constexpr hotplug::StateLayout kContractLayout{.prepare_fixed = 2,
                                                      .prepare_dynamic = 1,
                                                      .starting_fixed = 2,
                                                      .online_fixed = 3,
                                                      .online_dynamic = 1};

// A state machine on the machine under test, with the anchor up.
template <typename UnderTest>
class ContractMachine {
 public:
  using Machine = hotplug::StateMachine<typename UnderTest::Port>;

  ContractMachine(UnderTest& under_test, hotplug::Tracer* tracer)
      : cpus_(under_test.room()),
        states_(kContractLayout.count()),
        machine_(under_test.port(), kContractLayout, cpus_, states_, tracer) {
    EXPECT_TRUE(machine_.cpu_arrived(under_test.anchor()).has_value());
  }
  [[nodiscard]] Machine& get() { return machine_; }

 private:
  std::vector<hotplug::CpuRecord> cpus_;
  std::vector<hotplug::StateRecord> states_;
  Machine machine_;
};

template <typename UnderTest>
class HotplugContract : public ::testing::Test {
 protected:
  using Log = std::vector<std::string>;

  // A state that writes down its calls: "+a@1" is the startup for CPU 1.
  class Probe {
   public:
    Probe(HotplugContract& test, std::string name) : test_(test), name_(std::move(name)) {}
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;

    [[nodiscard]] hotplug::StateDefinition at(Placement placement) {
      return {.name = name_,
              .placement = placement,
              .startup = hotplug::method<&Probe::run>,
              .teardown = hotplug::method<&Probe::run>,
              .object = this};
    }
    // The call with this line fails.
    std::string fails;
    // Whether the state was up on the CPU, as its own calls left it. From readers, too.
    [[nodiscard]] bool is_up(CpuId cpu) const { return up_[cpu.value].load(); }

   private:
    std::expected<void, Error> run(const hotplug::CallbackContext& context) {
      const bool starts = context.direction == hotplug::Direction::startup;
      const std::string line = call((starts ? "+" : "-") + name_, context.cpu);
      test_.note(line, context);
      if (line == fails) return std::unexpected(Error{kCallbackError});
      up_[context.cpu.value] = starts;
      return {};
    }

    HotplugContract& test_;
    std::string name_;
    std::vector<std::atomic<bool>> up_ = std::vector<std::atomic<bool>>(test_.under_test_.room());
  };

  void SetUp() override { made_.emplace(under_test_, nullptr); }
  [[nodiscard]] auto& machine() { return made_->get(); }
  [[nodiscard]] auto& online_cpus() { return machine().online_cpus(); }

  [[nodiscard]] StateHandle set_up(Probe& probe, Section section, std::uint16_t index) {
    auto state = machine().setup_state(probe.at(Placement::fixed(section, index)));
    EXPECT_TRUE(state.has_value());
    return state ? std::move(*state) : StateHandle{};
  }
  void up(CpuId cpu) { ASSERT_TRUE(machine().cpu_up(cpu).has_value()); }
  void down(CpuId cpu) { ASSERT_TRUE(machine().cpu_down(cpu).has_value()); }
  [[nodiscard]] bool is_online(CpuId cpu) {
    const std::shared_lock lock(online_cpus());
    return online_cpus().cpus().contains(cpu);
  }
  [[nodiscard]] static std::string call(const std::string& what, CpuId cpu) {
    return what + "@" + std::to_string(cpu.value);
  }
  [[nodiscard]] Log take_log() {
    const std::lock_guard lock(log_mutex_);
    return std::exchange(log_, {});
  }
  // Why this test cannot run here; empty: it can.
  [[nodiscard]] std::string lacks_other_cpu() const {
    return under_test_.others().empty() ? "no CPU here can be taken down" : "";
  }

  UnderTest under_test_;
  std::atomic<int> wrong_places_{0};       // calls with an untrue on_cpu
  std::atomic<std::size_t> told_here_{0};  // calls with on_cpu

 private:
  void note(const std::string& line, const hotplug::CallbackContext& context) {
    // A prepare callback may happen to run there.
    if (context.on_cpu && !under_test_.is_here(context.cpu)) ++wrong_places_;
    if (context.on_cpu) ++told_here_;
    const std::lock_guard lock(log_mutex_);
    log_.push_back(line);
  }

  typename UnderTest::Port::Mutex log_mutex_;  // callbacks come from several contexts
  Log log_;
  std::optional<ContractMachine<UnderTest>> made_;
};

// The histories' view of a machine under test: the CPUs that may come and go.
template <typename UnderTest>
class ContractHistory {
 public:
  [[nodiscard]] auto& machine() { return made_.get(); }
  [[nodiscard]] HistoryScope scope() const {
    return {.cpu_count = static_cast<unsigned>(under_test_.others().size()),
            .others_stay_online = true};
  }
  [[nodiscard]] CpuId cpu(unsigned index) const {
    const auto& others = under_test_.others();
    return index < others.size() ? others[index]
                                 : CpuId{static_cast<std::uint32_t>(under_test_.room())};
  }

 private:
  UnderTest under_test_;
  ContractMachine<UnderTest> made_{under_test_, nullptr};
};

TYPED_TEST_SUITE_P(HotplugContract);

TYPED_TEST_P(HotplugContract, ASetupHasRunOnEveryOnlineCpuWhenItReturns) {
  using Fixture = TestFixture;
  typename Fixture::Log expected{Fixture::call("+a", this->under_test_.anchor())};
  for (const CpuId cpu : this->under_test_.others()) {
    this->up(cpu);
    expected.push_back(Fixture::call("+a", cpu));
  }
  for (const Section section : {Section::prepare, Section::starting, Section::online}) {
    static_cast<void>(this->take_log());
    typename Fixture::Probe a(*this, "a");
    const StateHandle state = this->set_up(a, section, 0);
    EXPECT_EQ(this->take_log(), expected) << name_of(section);
  }
}

TYPED_TEST_P(HotplugContract, StartupsAscendAndTeardownsDescendHoweverOften) {
  using Fixture = TestFixture;
  if (const auto why = this->lacks_other_cpu(); !why.empty()) GTEST_SKIP() << why;
  const CpuId cpu = this->under_test_.others().front();
  typename Fixture::Probe a(*this, "a");
  typename Fixture::Probe b(*this, "b");
  typename Fixture::Probe c(*this, "c");
  const StateHandle third = this->set_up(c, Section::online, 0);
  const StateHandle first = this->set_up(a, Section::prepare, 0);
  const StateHandle second = this->set_up(b, Section::starting, 0);
  static_cast<void>(this->take_log());
  for (unsigned cycle = 0; cycle < TypeParam::kCycles; ++cycle) {
    this->up(cpu);
    ASSERT_THAT(this->take_log(),
                ::testing::ElementsAre(Fixture::call("+a", cpu), Fixture::call("+b", cpu),
                                       Fixture::call("+c", cpu)));
    ASSERT_TRUE(this->is_online(cpu));
    this->down(cpu);
    ASSERT_THAT(this->take_log(),
                ::testing::ElementsAre(Fixture::call("-c", cpu), Fixture::call("-b", cpu),
                                       Fixture::call("-a", cpu)));
    ASSERT_FALSE(this->is_online(cpu));
  }
}

TYPED_TEST_P(HotplugContract, AFailureOnTheWayUpIsUndone) {
  using Fixture = TestFixture;
  if (const auto why = this->lacks_other_cpu(); !why.empty()) GTEST_SKIP() << why;
  const CpuId cpu = this->under_test_.others().front();
  typename Fixture::Probe a(*this, "a");
  typename Fixture::Probe b(*this, "b");
  const StateHandle first = this->set_up(a, Section::prepare, 0);
  const StateHandle second = this->set_up(b, Section::online, 0);
  static_cast<void>(this->take_log());
  b.fails = Fixture::call("+b", cpu);
  const auto outcome = this->machine().cpu_up(cpu);
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().code, kCallbackError);
  EXPECT_THAT(this->take_log(),
              ::testing::ElementsAre(Fixture::call("+a", cpu), Fixture::call("+b", cpu),
                                     Fixture::call("-a", cpu)));
  EXPECT_FALSE(this->is_online(cpu));
  const hotplug::CpuStatus failed = this->machine().status(cpu).value();
  EXPECT_EQ(failed.state, hotplug::StateLayout::offline());
  EXPECT_EQ(failed.failed_state, second.number());
  b.fails.clear();
  this->up(cpu);
  const hotplug::CpuStatus status = this->machine().status(cpu).value();
  EXPECT_EQ(status.state, kContractLayout.online());
  EXPECT_EQ(status.error, std::nullopt);
  this->down(cpu);
}

TYPED_TEST_P(HotplugContract, ACpuThatRefusesToGoIsWholeAgain) {
  using Fixture = TestFixture;
  if (const auto why = this->lacks_other_cpu(); !why.empty()) GTEST_SKIP() << why;
  const CpuId cpu = this->under_test_.others().front();
  typename Fixture::Probe a(*this, "a");
  typename Fixture::Probe b(*this, "b");
  const StateHandle first = this->set_up(a, Section::online, 0);
  const StateHandle second = this->set_up(b, Section::online, 1);
  this->up(cpu);
  static_cast<void>(this->take_log());
  a.fails = Fixture::call("-a", cpu);
  EXPECT_FALSE(this->machine().cpu_down(cpu).has_value());
  EXPECT_THAT(this->take_log(),
              ::testing::ElementsAre(Fixture::call("-b", cpu), Fixture::call("-a", cpu),
                                     Fixture::call("+b", cpu)));
  EXPECT_TRUE(this->is_online(cpu));
  a.fails.clear();
  this->down(cpu);
}

TYPED_TEST_P(HotplugContract, AFailedSetupIsUndoneOnTheCpusBeforeIt) {
  using Fixture = TestFixture;
  if (const auto why = this->lacks_other_cpu(); !why.empty()) GTEST_SKIP() << why;
  const CpuId anchor = this->under_test_.anchor();
  const CpuId cpu = this->under_test_.others().front();
  this->up(cpu);
  typename Fixture::Probe a(*this, "a");
  a.fails = Fixture::call("+a", cpu);
  EXPECT_FALSE(this->machine().setup_state(a.at(Placement::fixed(Section::online, 0))).has_value());
  EXPECT_THAT(this->take_log(),
              ::testing::ElementsAre(Fixture::call("+a", anchor), Fixture::call("+a", cpu),
                                     Fixture::call("-a", anchor)));
  this->down(cpu);
  EXPECT_TRUE(this->take_log().empty()) << "the state is gone";
}

TYPED_TEST_P(HotplugContract, CallbacksAreToldTheTruthAboutWhereTheyRun) {
  using Fixture = TestFixture;
  typename Fixture::Probe a(*this, "a");
  typename Fixture::Probe b(*this, "b");
  typename Fixture::Probe c(*this, "c");
  const StateHandle first = this->set_up(a, Section::prepare, 0);
  const StateHandle second = this->set_up(b, Section::starting, 0);
  const StateHandle third = this->set_up(c, Section::online, 0);
  for (const CpuId cpu : this->under_test_.others()) {
    this->up(cpu);
    this->down(cpu);
  }
  const std::size_t calls_of_each = 1 + 2 * this->under_test_.others().size();
  EXPECT_EQ(this->take_log().size(), 3 * calls_of_each);
  EXPECT_EQ(this->wrong_places_, 0);
  EXPECT_EQ(this->told_here_, 2 * calls_of_each) << "starting and online run on the CPU";
}

TYPED_TEST_P(HotplugContract, EveryCallbackIsTraced) {
  using Fixture = TestFixture;
  class Recorder final : public hotplug::Tracer {
   public:
    void on_trace(const hotplug::TraceEvent& event) override {
      using Kind = hotplug::TraceEvent::Kind;
      if (event.kind != Kind::enter && event.kind != Kind::exit) return;
      EXPECT_EQ(event.name, "a");
      kinds.push_back(event.kind);
      if (event.error) ++errors;
    }
    std::vector<hotplug::TraceEvent::Kind> kinds;
    int errors = 0;
  } recorder;
  ContractMachine<TypeParam> traced(this->under_test_, &recorder);
  typename Fixture::Probe a(*this, "a");
  a.fails = Fixture::call("-a", this->under_test_.anchor());
  auto state = traced.get().setup_state(a.at(Placement::dynamic(Section::prepare)));
  ASSERT_TRUE(state.has_value());
  ASSERT_TRUE(traced.get().remove_state(*state).has_value());
  using Kind = hotplug::TraceEvent::Kind;
  EXPECT_THAT(recorder.kinds,
              ::testing::ElementsAre(Kind::enter, Kind::exit, Kind::enter, Kind::exit));
  EXPECT_EQ(recorder.errors, 1);
}

TYPED_TEST_P(HotplugContract, HistoriesGoAsTheModelSays) {
  if (const auto why = this->lacks_other_cpu(); !why.empty()) GTEST_SKIP() << why;
  for (std::uint64_t seed = 1; seed <= TypeParam::kHistories; ++seed) {
    ContractHistory<TypeParam> history;
    const auto difference = run_history(history, seed, 30);
    ASSERT_FALSE(difference.has_value()) << *difference;
  }
}

TYPED_TEST_P(HotplugContract, NoCpuComesOrGoesUnderTheReadLock) {
  if (const auto why = this->lacks_other_cpu(); !why.empty()) GTEST_SKIP() << why;
  const CpuId cpu = this->under_test_.others().front();
  const std::shared_lock lock(this->online_cpus());
  const auto outcome = this->machine().cpu_up(cpu);
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().code, ErrorCode::lock_held) << "the caller's own lock";
  EXPECT_FALSE(this->online_cpus().cpus().contains(cpu));
}

REGISTER_TYPED_TEST_SUITE_P(HotplugContract, ASetupHasRunOnEveryOnlineCpuWhenItReturns,
                            StartupsAscendAndTeardownsDescendHoweverOften,
                            AFailureOnTheWayUpIsUndone, ACpuThatRefusesToGoIsWholeAgain,
                            AFailedSetupIsUndoneOnTheCpusBeforeIt,
                            CallbacksAreToldTheTruthAboutWhereTheyRun, EveryCallbackIsTraced,
                            HistoriesGoAsTheModelSays, NoCpuComesOrGoesUnderTheReadLock);

}  // namespace trapline::contract
