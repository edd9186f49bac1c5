// `trapline doctor` on the real machine: what it says is compared with what the test set up.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "native_machine.h"
#include "tests/linux/watch_fixture.h"

namespace trapline::testing {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr uid_t kNobody = 65534;

nlohmann::json examine(const ChildOptions& options = {}) {
  const auto exit = run({TRAPLINE_COMMAND, "doctor", "-f", "json"}, options);
  EXPECT_EQ(exit.status, 0) << exit.err;
  return nlohmann::json::parse(exit.out, nullptr, false);
}

// The entry of `list` whose `key` is `value`; null if there is none.
nlohmann::json entry_with(const nlohmann::json& list, const std::string& key,
                          const nlohmann::json& value) {
  const auto found = std::ranges::find_if(
      list, [&](const auto& entry) { return entry.value(key, nlohmann::json()) == value; });
  return found == list.end() ? nlohmann::json() : *found;
}

int open_event(std::uint32_t type, std::uint64_t config) {
  static int variable;
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = type;
  attributes.config = config;
  attributes.disabled = 1;
  attributes.exclude_kernel = 1;
  if (type == PERF_TYPE_BREAKPOINT) {
    attributes.bp_type = HW_BREAKPOINT_RW;
    attributes.bp_addr = reinterpret_cast<std::uintptr_t>(&variable);
    attributes.bp_len = HW_BREAKPOINT_LEN_4;
  }
  return static_cast<int>(
      ::syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

// Nothing hangs where perf is blind after the first hit.
TEST(Doctor, WhatAWatchDoesToAtomicsIsSaidWhereTheyAreLoops) {
  const auto exit = run({TRAPLINE_COMMAND, "doctor"});
  const auto says = [&](const char* text) { return exit.out.find(text) != std::string::npos; };
  EXPECT_EQ(says("hung by it  atomics"),
            native::kTrapsBeforeAccess && !says("reports one access and then none"))
      << exit.out;
}

TEST(Doctor, EveryCollectorFiresHere) {
  const auto findings = examine();
  EXPECT_EQ(findings["can_watch"], true);
  for (const char* name : native::kCollectors) {
    EXPECT_EQ(entry_with(findings["collectors"], "name", name)["fires"], true)
        << findings["collectors"].dump();
  }
}

TEST(Doctor, ProbedCapabilitiesAreTheArchitectures) {
  const auto findings = examine();
  EXPECT_EQ(findings["machine"]["architecture"], native::kArchitecture);
  const auto expected = nlohmann::json::parse(native::kProbed);
  for (const auto& [key, value] : expected.items()) {
    EXPECT_EQ(findings["probed"][key], value) << key;
  }
}

TEST(Doctor, BreakpointEventsAreToldFromOthers) {
  const int first = open_event(PERF_TYPE_BREAKPOINT, 0);
  const int second = open_event(PERF_TYPE_BREAKPOINT, 0);
  const int clock = open_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK);
  ASSERT_TRUE(first >= 0 && second >= 0 && clock >= 0);
  const auto holder = entry_with(examine()["holders"], "pid", ::getpid());
  EXPECT_EQ(holder["kind"], "breakpoint_events");
  EXPECT_EQ(holder["count"], 2);
  // Asking has changed nothing: the clock still counts as what it is, the breakpoints still are
  // open.
  EXPECT_EQ(entry_with(examine()["holders"], "pid", ::getpid())["count"], 2);
  for (const int fd : {first, second, clock}) ::close(fd);
  EXPECT_TRUE(entry_with(examine()["holders"], "pid", ::getpid()).is_null());
}

TEST(Doctor, TracerIsNamed) {
  Puppet puppet;
  Watch watch(watch_arguments("counter", puppet, {"--collector", "ptrace"}));
  const auto holder = entry_with(examine()["holders"], "pid", watch.process().pid());
  EXPECT_EQ(holder["kind"], "tracer");
  EXPECT_EQ(holder["name"], "trapline");
  EXPECT_EQ(watch.interrupt().status, 0);
}

// perf_event_paranoid decides what an ordinary user may do, and doctor must say the same.
TEST(Doctor, OrdinaryUserIsToldWhatIsInTheWay) {
  constexpr int kUserSpaceOnly = 2;
  int paranoid = 0;
  std::ifstream("/proc/sys/kernel/perf_event_paranoid") >> paranoid;
  ChildOptions as_nobody;
  as_nobody.user = kNobody;
  const auto findings = examine(as_nobody);
  const auto& privileges = findings["privileges"];
  EXPECT_EQ(privileges["uid"], kNobody);
  for (const char* name : {"cap_perfmon", "cap_sys_ptrace", "cap_sys_admin"})
    EXPECT_EQ(privileges[name], false) << name;
  EXPECT_EQ(privileges["perf_event_paranoid"], paranoid);
  const auto perf = entry_with(findings["collectors"], "name", "perf");
  EXPECT_EQ(perf["fires"], paranoid <= kUserSpaceOnly) << perf.dump();
  if (paranoid > kUserSpaceOnly) {
    EXPECT_THAT(perf.value("reason", ""), HasSubstr("kernel.perf_event_paranoid is"));
  } else {
    EXPECT_FALSE(perf.contains("reason")) << perf.dump();
  }
}

TEST(Doctor, ForbiddenPerfIsNamedAndPtraceStillFires) {
  ChildOptions without_perf;
  without_perf.forbid_perf = true;
  const auto findings = examine(without_perf);
  EXPECT_EQ(findings["can_watch"], true);
  EXPECT_EQ(findings["privileges"]["seccomp_mode"], 2);
  const auto perf = entry_with(findings["collectors"], "name", "perf");
  EXPECT_EQ(perf["fires"], false);
  EXPECT_THAT(perf.value("reason", ""), AnyOf(HasSubstr("seccomp"), HasSubstr("paranoid is")));
  EXPECT_EQ(entry_with(findings["collectors"], "name", "ptrace")["fires"], true);
  const auto text = run({TRAPLINE_COMMAND, "doctor"}, without_perf);
  EXPECT_THAT(text.out, ::testing::ContainsRegex("\nperf +no: "));
}

TEST(Doctor, TextFitsAScreen) {
  const auto exit = run({TRAPLINE_COMMAND, "doctor"});
  EXPECT_EQ(exit.status, 0);
  EXPECT_LE(std::ranges::count(exit.out, '\n'), 24);
  EXPECT_THAT(exit.out, HasSubstr("ok: a watch was set here and it fired"));
}

TEST(Demo, CatchesTheGuiltyLine) {
  const auto exit = run({TRAPLINE_COMMAND, "demo"});
  EXPECT_EQ(exit.status, 0) << exit.err;
  EXPECT_THAT(exit.out, HasSubstr("<- wrong"));
  // One hit of set_owner() on the line that terminates the name, and its bytes: the balance, by
  // then 1200 to 2400, without its low byte.
  const std::string mark = native::kSeesSystemCalls ? "" : "~?";
  EXPECT_THAT(exit.out, ::testing::ContainsRegex("-> " + mark +
                                                 "(1024|1280|1536|1792|2048|2304)  "
                                                 "set_owner.* at ledger.cc:16"));
  EXPECT_THAT(exit.err, HasSubstr("0 lost"));
}

}  // namespace
}  // namespace trapline::testing
