// What a hit says, on every collector: the same program, the same expectations.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "native_machine.h"
#include "tests/linux/watch_fixture.h"

namespace trapline::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

class WatchHits : public ::testing::TestWithParam<const char*> {
 protected:
  std::vector<std::string> arguments(const std::string& what, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--collector", GetParam()});
    return watch_arguments(what, puppet_, more);
  }

  bool nothing_is_left() { return second_watch_has_every_slot(puppet_, GetParam()); }

  Puppet puppet_;
};

INSTANTIATE_TEST_SUITE_P(Collectors, WatchHits, ::testing::Values("bpf", "perf", "ptrace"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(WatchHits, NamesTheWriterItsLineAndBothValues) {
  Watch watch(arguments("counter"));
  EXPECT_EQ(watch.start()["collector"], GetParam());
  EXPECT_EQ(watch.start()["watch"]["length"], 4);
  puppet_.obey("bump 3");
  const auto result = watch.interrupt();
  EXPECT_EQ(result.status, 0);
  ASSERT_EQ(result.hits.size(), 3U);
  int value = 0;
  for (const auto& hit : result.hits) {
    EXPECT_EQ(hit["pid"], puppet_.pid());
    EXPECT_EQ(hit["tid"], puppet_.pid());
    EXPECT_EQ(hit["comm"], "puppet");
    EXPECT_EQ(hit["symbol"], "bump");
    EXPECT_THAT(hit["file"].get<std::string>(), EndsWith("puppet.c"));
    EXPECT_EQ(hit["line"], line_of("puppet.c", "BUMP"));
    EXPECT_EQ(hit["address"], watch.start()["watch"]["address"]);
    EXPECT_EQ(hit["access"], "w");
    EXPECT_EQ(hit["old"], value);
    EXPECT_EQ(hit["new"], value + 1);
    EXPECT_THAT(hit["instruction"].get<std::string>(), HasSubstr(native::kWordStoreText));
    ++value;
  }
  EXPECT_EQ(result.end["hits"], 3);
  EXPECT_EQ(result.end["lost"], 0);
}

TEST_P(WatchHits, StackLeadsFromTheWriterToMain) {
  Watch watch(arguments("counter"));
  puppet_.obey("bump 1");
  const auto result = watch.interrupt();
  ASSERT_EQ(result.hits.size(), 1U);
  std::vector<std::string> symbols;
  for (const auto& frame : result.hits[0]["stack"]) symbols.push_back(frame.value("symbol", ""));
  ASSERT_GE(symbols.size(), 4U);
  EXPECT_EQ(symbols[0], "bump");
  EXPECT_EQ(symbols[1], "bump_many");
  EXPECT_EQ(symbols[2], "obey");
  EXPECT_EQ(symbols[3], "main");
}

TEST_P(WatchHits, DwarfStackLeadsFromTheWriterToMain) {
  if (std::string_view(GetParam()) == "bpf")
    GTEST_SKIP() << "collector bpf takes no copies of stacks";
  Watch watch(arguments("counter", {"--stack", "dwarf"}));
  puppet_.obey("bump 1");
  const auto result = watch.interrupt();
  ASSERT_EQ(result.hits.size(), 1U);
  std::set<std::string> symbols;
  for (const auto& frame : result.hits[0]["stack"]) symbols.insert(frame.value("symbol", ""));
  EXPECT_TRUE(symbols.contains("bump") && symbols.contains("obey") && symbols.contains("main"))
      << result.hits[0]["stack"].dump();
}

TEST_P(WatchHits, InlinedFrameIsNamedAboveItsFunction) {
  Watch watch(arguments("counter"));
  puppet_.obey("inline");
  const auto result = watch.interrupt();
  ASSERT_EQ(result.hits.size(), 1U);
  const auto& hit = result.hits[0];
  EXPECT_EQ(hit["symbol"], "bump_inlined");
  EXPECT_EQ(hit["line"], line_of("puppet.c", "INLINED"));
  EXPECT_EQ(hit["stack"][0]["inlined"], true);
  EXPECT_EQ(hit["stack"][1]["symbol"], "bump_through_inline");
}

TEST_P(WatchHits, EveryThreadIsSeenAndNoHitIsLost) {
  Watch watch(arguments("counter"));
  puppet_.obey("threads 8 50");
  const auto result = watch.interrupt();
  std::set<int> threads;
  for (const auto& hit : result.hits) threads.insert(hit["tid"].get<int>());
  EXPECT_EQ(threads.size(), 8U);
  EXPECT_EQ(result.hits.size(), 400U);
  EXPECT_EQ(result.end["lost"], 0);
}

TEST_P(WatchHits, ReadsAreSeenWithReadWriteAccess) {
  Watch watch(arguments("counter", {"-t", "rw"}));
  puppet_.obey("look");
  const auto result = watch.interrupt();
  ASSERT_GE(result.hits.size(), 1U);
  EXPECT_EQ(result.hits[0]["symbol"], "read_counter");
}

TEST_P(WatchHits, ReadsAloneAreSeenWhereTheMachineHasSuchWatches) {
  if (!native::kWatchesReadsAlone)
    GTEST_SKIP() << "this machine's registers watch writes with the reads";
  Watch watch(arguments("counter", {"-t", "r"}));
  puppet_.obey("set 3");
  puppet_.obey("look");
  const auto result = watch.interrupt();
  // The puppet's answers read it too.
  std::multiset<std::string> symbols;
  for (const auto& hit : result.hits) {
    EXPECT_EQ(hit["access"], "r");
    symbols.insert(hit["symbol"].get<std::string>());
  }
  EXPECT_EQ(symbols.count("read_counter"), 1U);
  EXPECT_EQ(symbols.count("set_counter"), 0U);
}

TEST_P(WatchHits, ReadsAreSilentWithWriteAccess) {
  Watch watch(arguments("counter"));
  puppet_.obey("look");
  EXPECT_EQ(watch.interrupt().hits.size(), 0U);
}

TEST_P(WatchHits, FunctionCallsAreSeenWithTheirCaller) {
  Watch watch(arguments("bump", {"-t", "x"}));
  puppet_.obey("bump 5");
  const auto result = watch.interrupt();
  ASSERT_EQ(result.hits.size(), 5U);
  EXPECT_EQ(result.hits[0]["symbol"], "bump");
  EXPECT_EQ(result.hits[0].value("offset", -1), 0);
  EXPECT_EQ(result.hits[0]["stack"][1]["symbol"], "bump_many");
}

TEST_P(WatchHits, UnalignedObjectIsSplitAndSeenWhole) {
  Watch watch(arguments("unaligned.value"));
  EXPECT_GE(watch.start()["slots"], native::kSlotsOfAnUnalignedWord);
  puppet_.obey("unaligned 77");
  const auto result = watch.interrupt();
  ASSERT_GE(result.hits.size(), 1U);
  EXPECT_EQ(result.hits.back()["new"], 77);
  EXPECT_EQ(result.hits.front()["symbol"], "write_unaligned");
}

TEST_P(WatchHits, LimitOfHitsEndsTheWatchAndLeavesTheTargetRunning) {
  Watch watch(arguments("counter", {"-n", "2"}));
  puppet_.obey("bump 10");
  const auto result = watch.finish();
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.hits.size(), 2U);
  EXPECT_EQ(puppet_.obey("bump 1"), "ok 11");
  EXPECT_TRUE(nothing_is_left());
}

TEST_P(WatchHits, DurationEndsTheWatch) {
  Watch watch(arguments("counter", {"--duration", "0.3"}));
  const auto result = watch.finish();
  EXPECT_EQ(result.status, 0);
  EXPECT_GE(result.end["duration_ns"], 300'000'000);
  EXPECT_LT(result.end["duration_ns"], 5'000'000'000);
}

TEST_P(WatchHits, ChangedHidesWritesOfTheSameValue) {
  puppet_.obey("set 5");
  Watch watch(arguments("counter", {"--when", "changed"}));
  puppet_.obey("set 5");
  puppet_.obey("set 6");
  puppet_.obey("set 6");
  const auto result = watch.interrupt();
  ASSERT_EQ(result.hits.size(), 1U);
  EXPECT_EQ(result.hits[0]["old"], 5);
  EXPECT_EQ(result.hits[0]["new"], 6);
  EXPECT_EQ(result.end["filtered"], 2);
}

TEST_P(WatchHits, AllConditionsMustHold) {
  Watch watch(arguments("counter", {"--when", "new>2", "--when", "new<=4"}));
  for (const char* line : {"set 1", "set 3", "set 4", "set 5"}) puppet_.obey(line);
  const auto result = watch.interrupt();
  ASSERT_EQ(result.hits.size(), 2U);
  EXPECT_EQ(result.hits[0]["new"], 3);
  EXPECT_EQ(result.hits[1]["new"], 4);
}

TEST_P(WatchHits, ForkedChildrenAreSeenOnlyWhenAskedFor) {
  {
    Watch watch(arguments("counter"));
    puppet_.obey("fork 4");
    puppet_.obey("bump 1");
    EXPECT_EQ(watch.interrupt().hits.size(), 1U);
  }
  Watch watch(arguments("counter", {"--children"}));
  puppet_.obey("fork 4");
  const auto result = watch.interrupt();
  ASSERT_EQ(result.hits.size(), 4U);
  EXPECT_NE(result.hits[0]["pid"], puppet_.pid());
}

TEST_P(WatchHits, EndRecordAndStatusTellHowTheCommandExited) {
  Watch watch({"counter", "--collector", GetParam(), "--", PUPPET_PROGRAM});
  watch.process().write_line("bump 1");
  watch.process().write_line("exit 3");
  const auto result = watch.finish();
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.hits.size(), 1U);
  EXPECT_EQ(result.end["hits"], 1);
  EXPECT_EQ(result.end["reason"], "the target exited with status 3");
}

TEST_P(WatchHits, EndRecordAndStatusTellWhatKilledTheCommand) {
  Watch watch({"counter", "--collector", GetParam(), "--", PUPPET_PROGRAM});
  watch.process().write_line("bump 2");
  watch.process().write_line("crash");
  const auto result = watch.finish();
  EXPECT_EQ(result.status, 128 + SIGKILL);
  EXPECT_EQ(result.hits.size(), 2U);
  EXPECT_EQ(result.end["hits"], 2);
  EXPECT_EQ(result.end["reason"], "the target was killed by signal 9");
}

// Only a parent or a tracer learns the status of a process.
TEST_P(WatchHits, EndOfAProcessWatchedByPidIsANormalEnd) {
  Watch watch(arguments("counter"));
  puppet_.obey("bump 1");
  puppet_.send("exit 3");
  const auto result = watch.finish();
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.hits.size(), 1U);
  EXPECT_EQ(result.end["reason"], std::string_view(GetParam()) == "ptrace"
                                      ? "the target exited with status 3"
                                      : "the target ended");
}

TEST_P(WatchHits, WatchOfASleepingChildWhoseParentIsGoneSleepsToo) {
  Watch watch(arguments("counter", {"--children"}));
  puppet_.send("leave 1000 3");
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const auto before = watch.process().cpu_time();
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  const auto used =
      std::chrono::duration_cast<std::chrono::milliseconds>(watch.process().cpu_time() - before);
  EXPECT_LT(used.count(), 180) << "ms of CPU time in 600 ms in which nothing happened";
  const auto result = watch.finish();
  EXPECT_EQ(result.status, 0);
  ASSERT_EQ(result.hits.size(), 3U);
  EXPECT_NE(result.hits[0]["pid"], puppet_.pid());
}

TEST_P(WatchHits, ChildOfAParentThatExecutesAnotherProgramStaysWatched) {
  Watch watch(arguments("counter", {"--children"}));
  puppet_.send("depart 400 4 " PUPPET_PROGRAM);
  const auto ready = puppet_.process().read_line();
  ASSERT_TRUE(ready && ready->starts_with("ready")) << ready.value_or("(nothing)");
  puppet_.obey("bump 5");
  puppet_.obey("reap");
  const auto result = watch.interrupt();
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.hits.size(), 4U);
  for (const auto& hit : result.hits) EXPECT_NE(hit["pid"], puppet_.pid());
}

TEST_P(WatchHits, ExecEndsTheWatchAndTheNewProgramRuns) {
  Watch watch(arguments("counter"));
  puppet_.obey("bump 1");
  puppet_.send("exec " PUPPET_PROGRAM);
  const auto ready = puppet_.process().read_line();
  ASSERT_TRUE(ready && ready->starts_with("ready")) << ready.value_or("(nothing)");
  puppet_.obey("bump 5");
  const auto result = watch.finish();
  EXPECT_EQ(result.hits.size(), 1U);
  EXPECT_THAT(result.end["reason"].get<std::string>(), HasSubstr("executed another program"));
  EXPECT_TRUE(all_slots_are_free(puppet_.pid()));
}

TEST_P(WatchHits, ValuesOffLeavesThemOut) {
  Watch watch(arguments("counter", {"--values", "off"}));
  puppet_.obey("bump 1");
  const auto result = watch.interrupt();
  ASSERT_EQ(result.hits.size(), 1U);
  EXPECT_FALSE(result.hits[0].contains("old"));
  EXPECT_FALSE(result.hits[0].contains("new"));
}

TEST_P(WatchHits, InterruptFreesEveryDebugRegister) {
  Watch watch(arguments("cfg"));
  const auto result = watch.interrupt();
  EXPECT_EQ(result.end["reason"], "interrupted");
  EXPECT_TRUE(nothing_is_left());
}

// The types a value can have, and how each reads in JSON.
struct TypedCase {
  const char* what;
  const char* command;
  nlohmann::json expected;
};

class WatchTypes : public ::testing::TestWithParam<TypedCase> {};

INSTANTIATE_TEST_SUITE_P(Kinds, WatchTypes,
                         ::testing::Values(TypedCase{"cfg.mode", "fields 9", 9},
                                           TypedCase{"file_static", "fields 9", 9},
                                           TypedCase{"puppet.c:file_static", "fields 9", 9},
                                           TypedCase{"small", "fields 300", 44},
                                           TypedCase{"big", "fields 5", -5},
                                           TypedCase{"real", "fields 5", 2.5},
                                           TypedCase{"cfg.head->value", "fields 8", 8}),
                         [](const auto& test) { return "Case" + std::to_string(test.index); });

// A CPU of 32 bits may write eight bytes by two stores: then the last has the whole value.
TEST_P(WatchTypes, NewValueReadsAsTheTypeSays) {
  Puppet puppet;
  Watch watch(watch_arguments(GetParam().what, puppet));
  puppet.obey(GetParam().command);
  const auto result = watch.interrupt();
  ASSERT_GE(result.hits.size(), 1U);
  ASSERT_LE(result.hits.size(), 8 / sizeof(void*));
  EXPECT_EQ(result.hits.back()["new"], GetParam().expected) << result.hits.back().dump();
  EXPECT_EQ(result.hits.back()["symbol"], "write_fields");
}

TEST(WatchKernel, WriteBySystemCallIsSeenWithItsUserStack) {
  Puppet puppet;
  Watch watch(watch_arguments("buffer[3]", puppet, {"--collector", "perf"}));
  puppet.obey("read");
  const auto result = watch.interrupt();
  ASSERT_GE(result.hits.size(), 1U);
  EXPECT_EQ(result.hits[0]["kernel"], true);
  std::set<std::string> symbols;
  for (const auto& frame : result.hits[0]["stack"]) symbols.insert(frame.value("symbol", ""));
  EXPECT_TRUE(symbols.contains("read_into_buffer")) << result.hits[0]["stack"].dump();
}

TEST(WatchCommand, IsInstalledBeforeMainAndReturnsTheCommandsStatus) {
  Watch watch({"counter", "--", PUPPET_PROGRAM});
  EXPECT_FALSE(watch.start().is_null());
  watch.process().write_line("bump 2");
  watch.process().write_line("exit 7");
  const auto result = watch.finish();
  EXPECT_EQ(result.status, 7);
  ASSERT_EQ(result.hits.size(), 2U);
  EXPECT_EQ(result.hits[0]["symbol"], "bump");
}

TEST(WatchCommand, SharedLibraryVariableCanBeNamedBeforeMain) {
  Watch watch({"_IO_2_1_stdout_.file._IO_write_ptr", "-n", "1", "--", "/bin/echo", "hello"});
  const auto result = watch.finish();
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, "hello\n");
  EXPECT_EQ(result.hits.size(), 1U);
}

}  // namespace
}  // namespace trapline::testing
