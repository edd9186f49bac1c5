// What is traced, which callbacks hang, and failures on request.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "hotplug/state_machine_fixture.h"

namespace trapline::hotplug::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Events as lines.
class TraceRecorder final : public Tracer {
 public:
  void on_trace(const TraceEvent& event) override {
    std::string line;
    switch (event.kind) {
      case TraceEvent::Kind::enter:
        line = "enter";
        break;
      case TraceEvent::Kind::exit:
        line = "exit";
        break;
      case TraceEvent::Kind::transition_begin:
        line = "begin " + std::to_string(event.from.value);
        break;
      case TraceEvent::Kind::transition_end:
        line = "end " + std::to_string(event.from.value);
        break;
      case TraceEvent::Kind::hung:
        line = "hung";
        break;
    }
    line += (event.direction == Direction::startup ? " up " : " down ") +
            std::to_string(event.state.value) + " cpu" + std::to_string(event.cpu.value);
    if (!event.name.empty()) line += " " + std::string(event.name);
    if (event.instance != nullptr)
      line += "." + static_cast<const NamedInstance*>(event.instance)->name;
    if (event.cpu_is_lost) line += " lost";
    if (event.error) line += " " + std::string(name_of(event.error->code));
    if (event.duration.value != 0) line += " " + std::to_string(event.duration.value) + "ns";
    lines.push_back(line);
  }
  [[nodiscard]] Log take() { return std::exchange(lines, {}); }

  Log lines;
};

class TraceTest : public HotplugTest {
 protected:
  [[nodiscard]] StateHandle set_up_traced(Probe& probe, Section section, std::uint16_t index) {
    auto state = traced_.setup_state(probe.at(Placement::fixed(section, index)));
    EXPECT_EQ(code_of(state), "ok");
    return state ? std::move(*state) : StateHandle{};
  }

  TraceRecorder trace_;
  StaticStorage<4, kLayout> traced_storage_;
  Machine traced_{port_, kLayout, traced_storage_.cpus, traced_storage_.states, &trace_};
  Probe a_{log_, "a"};
};

TEST_F(TraceTest, EveryCallbackIsTracedWithItsResultAndDuration) {
  EXPECT_EQ(code_of(traced_.cpu_up(kCpu0)), "ok");
  EXPECT_THAT(trace_.take(), ElementsAre("begin 0 up 16 cpu0", "end 0 up 16 cpu0"));
  a_.during = [this](const CallbackContext&) { hardware_.advance(Nanoseconds{3}); };
  StateHandle state = set_up_traced(a_, Section::online, 0);
  EXPECT_THAT(trace_.take(), ElementsAre("enter up 11 cpu0 a", "exit up 11 cpu0 a 3ns"));
  EXPECT_EQ(code_of(traced_.cpu_up(kCpu1)), "ok");
  EXPECT_THAT(trace_.take(), ElementsAre("begin 0 up 16 cpu1", "enter up 11 cpu1 a",
                                         "exit up 11 cpu1 a 3ns", "end 0 up 16 cpu1 3ns"));
  a_.fail_once("-a@1");
  EXPECT_EQ(code_of(traced_.cpu_down(kCpu1)), "wrong_state");
  EXPECT_THAT(trace_.take(), ElementsAre("begin 16 down 0 cpu1", "enter down 11 cpu1 a",
                                         "exit down 11 cpu1 a wrong_state 3ns",
                                         "end 16 down 16 cpu1 wrong_state 3ns"));
  hardware_.lose(kCpu1);
  EXPECT_EQ(code_of(traced_.cpu_lost(kCpu1)), "ok");
  EXPECT_THAT(trace_.take(),
              ElementsAre("begin 16 down 0 cpu1 lost", "enter down 11 cpu1 a lost",
                          "exit down 11 cpu1 a lost 3ns", "end 16 down 0 cpu1 lost 3ns"));
}

TEST_F(TraceTest, InstancesAndErrorsThatAreNotReturnedAreTraced) {
  auto state = traced_.setup_state_multi(a_.at(Placement::fixed(Section::starting, 0)));
  ASSERT_EQ(code_of(state), "ok");
  NamedInstance x("x");
  ASSERT_EQ(code_of(traced_.add_instance(*state, x)), "ok");
  a_.fail_once("+a.x@0");
  EXPECT_EQ(code_of(traced_.cpu_up(kCpu0)), "ok");
  EXPECT_THAT(trace_.take(), ElementsAre("begin 0 up 16 cpu0", "enter up 7 cpu0 a.x",
                                         "exit up 7 cpu0 a.x wrong_state", "end 0 up 16 cpu0"));
  ASSERT_EQ(code_of(traced_.remove_instance(*state, x)), "ok");
}

TEST_F(TraceTest, AnInjectedFailureIsTracedAsAnExit) {
  StateHandle state = set_up_traced(a_, Section::online, 0);
  ASSERT_EQ(code_of(traced_.fail_at(kCpu0, state.number())), "ok");
  EXPECT_EQ(code_of(traced_.cpu_up(kCpu0)), "injected_failure");
  EXPECT_THAT(trace_.take(), ElementsAre("begin 0 up 16 cpu0", "exit up 11 cpu0 a injected_failure",
                                         "end 0 up 0 cpu0 injected_failure"));
}

TEST_F(TraceTest, ACallbackThatHangsIsTracedOnce) {
  a_.during = [this](const CallbackContext&) {
    hardware_.advance(Nanoseconds{10});
    traced_.check_hung(Nanoseconds{10});
    EXPECT_EQ(trace_.lines.back(), "enter up 11 cpu0 a") << "not over the limit yet";
    hardware_.advance(Nanoseconds{1});
    traced_.check_hung(Nanoseconds{10});
    EXPECT_EQ(trace_.lines.back(), "hung up 11 cpu0 a 11ns");
    traced_.check_hung(Nanoseconds{10});
  };
  traced_.check_hung(Nanoseconds{0});
  StateHandle state = set_up_traced(a_, Section::online, 0);
  EXPECT_EQ(code_of(traced_.cpu_up(kCpu0)), "ok");
  EXPECT_THAT(trace_.take(),
              ElementsAre("begin 0 up 16 cpu0", "enter up 11 cpu0 a", "hung up 11 cpu0 a 11ns",
                          "exit up 11 cpu0 a 11ns", "end 0 up 16 cpu0 11ns"));
  hardware_.advance(Nanoseconds{100});
  traced_.check_hung(Nanoseconds{10});
  EXPECT_THAT(trace_.take(), IsEmpty()) << "nothing runs";
  a_.during = nullptr;
}

TEST_F(TraceTest, EachHangingCallbackIsTraced) {
  a_.during = [this](const CallbackContext&) {
    hardware_.advance(Nanoseconds{5});
    traced_.check_hung(Nanoseconds{1});
  };
  EXPECT_EQ(code_of(traced_.cpu_up(kCpu0)), "ok");
  EXPECT_EQ(code_of(traced_.cpu_up(kCpu1)), "ok");
  trace_.lines.clear();
  StateHandle state = set_up_traced(a_, Section::online, 0);
  EXPECT_THAT(trace_.take(),
              ElementsAre("enter up 11 cpu0 a", "hung up 11 cpu0 a 5ns", "exit up 11 cpu0 a 5ns",
                          "enter up 11 cpu1 a", "hung up 11 cpu1 a 5ns", "exit up 11 cpu1 a 5ns"));
  a_.during = nullptr;
}

// --- failures on request
// --------------------------------------------------------------------------

using InjectionTest = HotplugTest;

TEST_F(InjectionTest, FailsOnceInsteadOfCallingBack) {
  bring_up({kCpu0});
  Probe a(log_, "a");
  Probe b(log_, "b");
  const StateHandle first = set_up(a, Section::online, 0);
  const StateHandle second = set_up(b, Section::online, 1);
  log_.clear();
  ASSERT_EQ(code_of(machine_.fail_at(kCpu1, second.number())), "ok");
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "injected_failure");
  EXPECT_THAT(take_log(), ElementsAre("+a@1", "-a@1"));
  EXPECT_EQ(status(kCpu1).failed_state, second.number());
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok") << "one shot";
  EXPECT_THAT(take_log(), ElementsAre("+a@1", "+b@1"));
  ASSERT_EQ(code_of(machine_.fail_at(kCpu1, second.number())), "ok");
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "injected_failure");
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(InjectionTest, HitsTheCpuItNamesOnly) {
  bring_up({kCpu0});
  Probe a(log_, "a");
  const StateHandle state = set_up(a, Section::prepare, 0);
  ASSERT_EQ(code_of(machine_.fail_at(kCpu1, state.number())), "ok");
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu2)), "ok");
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "injected_failure");
}

TEST_F(InjectionTest, APrepareStateFailsOnTheWayUpOnly) {
  bring_up({kCpu0});
  Probe a(log_, "a");
  const StateHandle state = set_up(a, Section::prepare, 0);
  bring_up({kCpu1});
  ASSERT_EQ(code_of(machine_.fail_at(kCpu1, state.number())), "ok");
  EXPECT_EQ(code_of(machine_.cpu_down(kCpu1)), "ok");
  EXPECT_THAT(take_log(), ElementsAre("-a@1"));
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "injected_failure") << "it waits for its chance";
}

TEST_F(InjectionTest, FailsSetupAndRemovalToo) {
  bring_up({kCpu0, kCpu1});
  Probe a(log_, "a");
  StateHandle state = set_up_multi(a, Section::online, 0);
  NamedInstance x("x");
  ASSERT_EQ(code_of(machine_.fail_at(kCpu1, state.number())), "ok");
  EXPECT_EQ(code_of(machine_.add_instance(state, x)), "injected_failure");
  EXPECT_THAT(take_log(), ElementsAre("+a.x@0", "-a.x@0"));
  ASSERT_EQ(code_of(machine_.add_instance(state, x)), "ok");
  log_.clear();
  ASSERT_EQ(code_of(machine_.fail_at(kCpu1, state.number())), "ok");
  EXPECT_EQ(code_of(machine_.remove_instance(state, x)), "teardown_failed");
  EXPECT_THAT(log_, ElementsAre("-a.x@0"));
  EXPECT_EQ(status(kCpu1).unsettled, 1U);
}

TEST_F(InjectionTest, IsForgottenWithItsState) {
  bring_up({kCpu0});
  Probe a(log_, "a");
  StateHandle state = set_up(a, Section::online, 0);
  ASSERT_EQ(code_of(machine_.fail_at(kCpu1, state.number())), "ok");
  ASSERT_EQ(code_of(machine_.remove_state(state)), "ok");
  Probe b(log_, "b");
  const StateHandle next = set_up(b, Section::online, 0);
  EXPECT_EQ(code_of(machine_.cpu_up(kCpu1)), "ok") << "another state has the number now";
}

TEST_F(InjectionTest, RejectsWhatCannotFail) {
  Probe a(log_, "a");
  const StateHandle starting = set_up(a, Section::starting, 0);
  EXPECT_EQ(code_of(machine_.fail_at(kCpu0, starting.number())), "cannot_fail");
  EXPECT_EQ(code_of(machine_.fail_at(kCpu0, number_of(Section::online, 0))), "cannot_fail")
      << "there is no such state";
  StateDefinition definition = a.at(Placement::fixed(Section::prepare, 0));
  definition.startup = nullptr;
  const auto no_startup = machine_.setup_state(definition);
  ASSERT_EQ(code_of(no_startup), "ok");
  EXPECT_EQ(code_of(machine_.fail_at(kCpu0, no_startup->number())), "cannot_fail")
      << "the teardown of a prepare state may not fail";
  EXPECT_EQ(code_of(machine_.fail_at(CpuId{4}, starting.number())), "cpu_not_present");
}

// A number out of range read out of bounds, once.
TEST_F(InjectionTest, EveryNumberThatIsNotAStatesIsRejected) {
  Probe a(log_, "a");
  const StateHandle state = set_up(a, Section::online, 0);
  for (std::uint32_t number = 0; number <= 0xffff; ++number) {
    const StateNumber it{static_cast<std::uint16_t>(number)};
    const std::string code = code_of(machine_.fail_at(kCpu0, it));
    if (it == state.number()) {
      EXPECT_EQ(code, "ok");
    } else if (kLayout.section_of(it)) {
      EXPECT_EQ(code, "cannot_fail") << number;
    } else {
      EXPECT_EQ(code, "bad_number") << number;
    }
  }
}

}  // namespace
}  // namespace trapline::hotplug::testing
