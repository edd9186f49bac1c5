// The console: what each command answers, and what it says to what makes no sense.
#include "console.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "isa/armv7/debug_access.h"
#include "ports/armv7_virt/cpu.h"
#include "ports/armv7_virt/debug_unit.h"
#include "ports/armv7_virt/stacks.h"
#include "support.h"
#include "words.h"

namespace trapline::firmware::testing {
namespace {

using ::testing::HasSubstr;

TEST(WordsTest, AreSeparatedBySpaceAndNumbersAreWhole) {
  const Words words("  watch\t0x40  4 \r");
  EXPECT_EQ(words.count(), 3U);
  EXPECT_EQ(words[0], "watch");
  EXPECT_EQ(words[2], "4");
  EXPECT_EQ(words[3], "");
  EXPECT_EQ(Words("").count(), 0U);
  EXPECT_EQ(Words("1 2 3 4 5 6 7 8 9 10").count(), Words::kMost);
  EXPECT_EQ(parse_number("0x40001000"), 0x40001000U);
  EXPECT_EQ(parse_number("4294967295"), 0xffffffffU);
  for (const char* text : {"", "0x", "x", "-1", "1x", "4294967296", "0x100000000", "1 2"})
    EXPECT_EQ(parse_number(text), std::nullopt) << text;
}

class ConsoleTest : public BoardTest {
 protected:
  void SetUp() override {
    BoardTest::SetUp();
    ASSERT_TRUE(watches().enable().has_value());
    console_.emplace(board(), tracer());
  }
  void TearDown() override {
    // A watch that a test left.
    for (const char* line : {"unwatch 0", "unwatch 1", "unwatch 2", "unwatch 3"})
      static_cast<void>(say(line));
    BoardTest::TearDown();
  }
  [[nodiscard]] std::string say(std::string_view line) {
    const PrintedText printed;
    console_->execute(line);
    return printed.text();
  }
  [[nodiscard]] Console& console() { return *console_; }

 private:
  std::optional<Console> console_;
};

TEST_F(ConsoleTest, WhatMakesNoSenseIsToldWithTheUsage) {
  EXPECT_EQ(say("frob"), "no command 'frob'. 'help' lists them\n");
  EXPECT_EQ(say(""), "");
  EXPECT_EQ(say("off"), "a CPU's number is missing\nusage: off CPU\n");
  EXPECT_EQ(say("on x"), "'x' is not a CPU's number\nusage: on CPU\n");
  EXPECT_EQ(say("fail 1 nothing"),
            "'nothing' is not a state's number or name\nusage: fail CPU STATE\n");
  EXPECT_EQ(say("refuse"), "'on' or 'off' is missing\nusage: refuse on|off\n");
  EXPECT_THAT(say("watch here 4 w"), HasSubstr("'here' is not an address\nusage: watch "));
  EXPECT_THAT(say("watch counter four w"), HasSubstr("'four' is not a length\nusage: watch "));
  EXPECT_THAT(say("watch counter 4 q"), HasSubstr("'q' is not r, w, rw or x\nusage: watch "));
  EXPECT_THAT(say("poke counter"), HasSubstr("a value is missing\nusage: poke "));
  EXPECT_THAT(say("undef"), HasSubstr("a CPU's number is missing\nusage: undef "));
  EXPECT_THAT(say("undef 1 twice"),
              HasSubstr("'twice' is not 'hook', 'nested' or 'circle'\nusage: undef "));
  EXPECT_THAT(say("trace perhaps"), HasSubstr("'perhaps' is not 'on' or 'off'\nusage: trace "));
}

TEST_F(ConsoleTest, CpusThatCannotGoOrComeAreToldWhy) {
  EXPECT_EQ(say("off 2"), "CPU 2 is off\n");
  EXPECT_EQ(say("off 2"), "CPU 2 is off already\n");
  EXPECT_EQ(say("on 2"), "CPU 2 is on\n");
  EXPECT_EQ(say("on 2"), "CPU 2 is on already\n");
  EXPECT_THAT(say("off 4"), HasSubstr("cannot turn off CPU 4: there is no such CPU"));
  EXPECT_THAT(say("on 4000000000"), HasSubstr("there is no such CPU"));
  EXPECT_THAT(say("off 0"), HasSubstr("cannot turn off CPU 0: its own thread is at work"));
  for (const char* line : {"off 1", "off 2", "off 3"}) EXPECT_THAT(say(line), HasSubstr("is off"));
  EXPECT_THAT(say("off 0"), HasSubstr("it is the last one online"));
  EXPECT_THAT(say("poke counter 1 3"), HasSubstr("CPU 3 is not online"));
}

TEST_F(ConsoleTest, WhatPsciRefusesIsNamed) {
  EXPECT_EQ(say("refuse off"), "PSCI will refuse the next CPU_OFF\n");
  EXPECT_THAT(say("off 1"), HasSubstr("cannot turn off CPU 1: PSCI says DENIED"));
  EXPECT_EQ(say("off 1"), "CPU 1 is off\n");
  EXPECT_EQ(say("refuse on"), "PSCI will refuse the next CPU_ON\n");
  EXPECT_THAT(say("on 1"), HasSubstr("cannot turn on CPU 1: PSCI says INTERNAL_FAILURE"));
  EXPECT_EQ(say("on 1"), "CPU 1 is on\n");
  const ShortPowerLimit limit;
  armv7_virt::psci::never_say_off(true);
  EXPECT_EQ(say("off 1"),
            "CPU 1 has left, but PSCI does not say that it is off. 'on 1' asks again\n");
  EXPECT_THAT(say("on 1"),
              HasSubstr("cannot turn on CPU 1: it did not arrive in time, or has not"));
  armv7_virt::psci::never_say_off(false);
  EXPECT_EQ(say("on 1"), "CPU 1 is on\n");
}

TEST_F(ConsoleTest, AStateFailsOnceWhereItIsToldTo) {
  EXPECT_EQ(say("off 3"), "CPU 3 is off\n");
  EXPECT_THAT(say("fail 3 hw_breakpoint:reset"), HasSubstr("will fail on CPU 3, once"));
  EXPECT_THAT(say("on 3"), HasSubstr("cannot turn on CPU 3: it was told to fail"));
  EXPECT_THAT(say("cpus"), HasSubstr("CPU 3: offline, state 0 (offline), last error "
                                     "injected_failure at state 11"));
  EXPECT_EQ(say("on 3"), "CPU 3 is on\n");
  EXPECT_THAT(say("fail 3 99"), HasSubstr("there is no such state"));
  EXPECT_THAT(say("fail 3 14"), HasSubstr("this state has nothing that may fail"));
  EXPECT_THAT(say("fail 9 11"), HasSubstr("there is no such CPU"));
}

TEST_F(ConsoleTest, AWatchIsSetCaughtAndRemoved) {
  EXPECT_EQ(say("watch counter 4 w"), "watch 0 is set on every CPU, with 1 register\n");
  EXPECT_THAT(say("poke counter 41 3"), HasSubstr("CPU 3 stored 0x00000029 at "));
  const std::string hits = say("hits");
  EXPECT_THAT(hits, HasSubstr("CPU 3 wrote 0x"));
  EXPECT_THAT(hits, HasSubstr("-> 0x00000029 (watch 0)"));
  EXPECT_THAT(hits, HasSubstr("1 hits, 0 lost"));
  EXPECT_THAT(say("watches"), HasSubstr("free: 3 watchpoints, 5 breakpoints"));
  EXPECT_EQ(say("unwatch 0"), "watch 0 is removed from every CPU\n");
  EXPECT_THAT(say("unwatch 0"), HasSubstr("there is no watch 0"));
  EXPECT_THAT(say("unwatch 99"), HasSubstr("there is no watch 99"));
}

TEST_F(ConsoleTest, AnExclusiveStoreThatGaveUpIsNotCalledAFault) {
  EXPECT_EQ(say("watch counter 4 w"), "watch 0 is set on every CPU, with 1 register\n");
  std::uint32_t status = 0;
  asm volatile(
      "ldrex r4, [%[at]]\n\t"
      "strex %[status], r4, [%[at]]"
      : [status] "=&r"(status)
      : [at] "r"(&demo_counter)
      : "r4", "memory");
  // The rest of its loop is waited for in vain.
  spin_for(Nanoseconds{1'000'000});
  EXPECT_EQ(status, 1U);
  const std::string hits = say("hits");
  EXPECT_THAT(hits, HasSubstr("an exclusive store failed and was not tried again"));
  EXPECT_THAT(hits, ::testing::Not(HasSubstr("faulted")));
}

TEST_F(ConsoleTest, AWatchThatDoesNotFitIsToldWhy) {
  EXPECT_THAT(say("watch counter 0 w"), HasSubstr("a length of zero watches nothing"));
  EXPECT_THAT(say("watch counter 64 w"), HasSubstr("the registers do not reach that far"));
  EXPECT_THAT(say("watch 0x40100002 4 x"),
              HasSubstr("an instruction's address is a multiple of 4"));
  EXPECT_THAT(say("watch 0x60000000 32 w"), HasSubstr("with 4 registers"));
  EXPECT_THAT(say("watch counter 4 w"),
              HasSubstr("it needs more registers than the 0 that are free. 'watches' lists"));
}

TEST_F(ConsoleTest, ABadAddressIsAnAnswer) {
  EXPECT_THAT(say("poke 0x10 1 2"), HasSubstr("cannot store at 0x00000010: CPU 2 faulted"));
  EXPECT_THAT(say("poke 0x40100000 1"), HasSubstr("cannot store at 0x40100000: CPU 0 faulted"));
}

TEST_F(ConsoleTest, TheRaceIsThereOnlyWithoutTheLock) {
  const std::string text = say("race");
  EXPECT_THAT(text, HasSubstr("CPU 3 was reset after it looked: the race"));
  EXPECT_THAT(text, HasSubstr("no CPU was reset since it looked"));
}

TEST_F(ConsoleTest, TheRaceIsNotPlayedIfItsStateFindsNoPlace) {
  std::deque<hotplug::StateHandle> taken;
  while (auto made = machine().setup_state(
             {.name = "other",
              .placement = hotplug::Placement::dynamic(hotplug::Section::online),
              .startup = [](const hotplug::CallbackContext&) -> std::expected<void, Error> {
                return {};
              }}))
    taken.push_back(*std::move(made));
  const std::string text = say("race");
  for (auto& state : taken) EXPECT_TRUE(machine().remove_state(state).has_value());
  EXPECT_THAT(text, HasSubstr("the driver cannot register its state: range_full"));
  EXPECT_EQ(say("on 3"), "CPU 3 is on\n");
}

TEST_F(ConsoleTest, TheRestAnswers) {
  EXPECT_THAT(say("help"), HasSubstr("off CPU "));
  EXPECT_THAT(say("states"), HasSubstr("hw_breakpoint:watches   online"));
  EXPECT_THAT(say("undef 1 hook"), HasSubstr("a hook took the undefined instruction of CPU 1"));
  EXPECT_EQ(say("trace on"), "");
  EXPECT_THAT(say("off 1"), HasSubstr("CPU 1 goes down"));
  EXPECT_EQ(console().exit_status(), std::nullopt);
  EXPECT_EQ(say("quit"), "");
  EXPECT_EQ(console().exit_status(), 0);
}

TEST_F(ConsoleTest, WhatTheFaultHandlersUseIsNotWatched) {
  const auto refused = [this](std::uintptr_t address, std::string_view access) {
    const std::string line = "watch " + std::to_string(address) + " 4 " + std::string(access);
    EXPECT_THAT(say(line), HasSubstr("cannot watch: the fault handlers use this themselves"))
        << line;
  };
  const auto of = [](auto* thing) { return reinterpret_cast<std::uintptr_t>(thing); };
  refused(of(&armv7_virt::this_cpu().faults), "w");
  refused(of(&armv7_virt::DebugUnit::installed()), "rw");
  refused(armv7_virt::stacks_of(kCpu2).abort.top() - 4, "w");
  refused(armv7_virt::stacks_of(kCpu3).undefined.bottom(), "r");
  refused(armv7_virt::stacks_of(kCpu1).emergency.top() - 4, "r");
  refused(of(&armv7_virt::DebugUnit::disable_hits), "x");
  refused(of(&trapline_dbg_write), "x");
  // Nothing was left installed.
  EXPECT_THAT(say("watches"), HasSubstr("free: 4 watchpoints, 5 breakpoints"));
}

}  // namespace
}  // namespace trapline::firmware::testing
