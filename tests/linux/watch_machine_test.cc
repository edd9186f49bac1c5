// Watching the whole machine, and watching anything while CPUs come and go.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "ports/linux/cpu_hotplug_test_support.h"
#include "ports/linux/proc_fs.h"
#include "tests/linux/cpu_writer.h"
#include "tests/linux/watch_fixture.h"

namespace trapline::testing {
namespace {

using linux_port::testing::kSpareCpu;
using linux_port::testing::SpareCpu;
using linux_port::testing::why_no_hotplug;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

// How often CPU 1 is taken away in a test: TRAPLINE_HOTPLUG_CYCLES, or few enough for every day.
int hotplug_cycles() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
  const char* const wanted = std::getenv("TRAPLINE_HOTPLUG_CYCLES");
  return wanted == nullptr ? 20 : std::atoi(wanted);
}

// Its perf events that are open.
std::size_t events_of(pid_t pid) {
  const std::filesystem::directory_iterator open("/proc/" + std::to_string(pid) + "/fd");
  return static_cast<std::size_t>(std::count_if(begin(open), end(open), [](const auto& entry) {
    std::error_code closed_meanwhile;
    return std::filesystem::read_symlink(entry.path(), closed_meanwhile) ==
           "anon_inode:[perf_event]";
  }));
}

// A watch's events: it has some for each address that it watches, on every CPU.
class EventsOfWatch {
 public:
  explicit EventsOfWatch(Watch& watch) : pid_(watch.process().pid()), at_first_(events_of(pid_)) {}

  [[nodiscard]] bool come() const {
    const std::size_t wanted = at_first_ + linux_port::online_cpus().value().count();
    return wait_until([&] { return events_of(pid_) == wanted; });
  }
  [[nodiscard]] bool are_as_at_first() const {
    return wait_until([&] { return events_of(pid_) == at_first_; });
  }
  // All are open a moment before the last one is enabled and the watch has told of it.
  static void settle() { std::this_thread::sleep_for(200ms); }
  [[nodiscard]] bool go() const {
    return wait_until([&] { return events_of(pid_) < at_first_; });
  }

 private:
  pid_t pid_;
  std::size_t at_first_;
};

class WatchMachine : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root may watch the whole machine here";
  }
  static std::vector<std::string> everywhere(const std::string& what,
                                             const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {what, "-a", "--collector", GetParam()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  static std::string in_puppet(const std::string& name) {
    return std::string(PUPPET_PROGRAM) + ":" + name;
  }
};

INSTANTIATE_TEST_SUITE_P(Collectors, WatchMachine, ::testing::Values("bpf", "perf"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(WatchMachine, VariableOfAFileIsWatchedInEveryProcessThatHasIt) {
  Puppet first;
  Puppet second;
  Watch watch(everywhere(in_puppet("counter")));
  first.obey("bump 2");
  second.obey("bump 3");
  const auto result = watch.interrupt();
  std::map<int, int> hits;
  for (const auto& hit : result.hits) {
    ++hits[hit["pid"].get<int>()];
    EXPECT_EQ(hit["symbol"], "bump");
    EXPECT_EQ(hit["line"], line_of("puppet.c", "BUMP"));
    EXPECT_EQ(hit["new"], hits[hit["pid"].get<int>()]);
  }
  EXPECT_EQ(hits, (std::map<int, int>{{first.pid(), 2}, {second.pid(), 3}}));
  EXPECT_EQ(result.end["lost"], 0);
}

// Each of which has the file at addresses of its own.
TEST_P(WatchMachine, MembersAreNamedInEveryProcess) {
  Puppet first;
  Puppet second;
  Watch watch(everywhere(in_puppet("point")));
  first.obey("values 4");
  second.obey("values 5");
  const auto result = watch.interrupt();
  ASSERT_EQ(result.hits.size(), 2U);
  EXPECT_EQ(result.hits[0]["member"], in_puppet("point.y"));
  EXPECT_EQ(result.hits[0]["new_text"], "{x = 1, y = 4}");
  EXPECT_EQ(result.hits[1]["member"], in_puppet("point.y"));
  EXPECT_EQ(result.hits[1]["new_text"], "{x = 1, y = 5}");
}

TEST_P(WatchMachine, ProcessThatLoadsTheFileLaterIsWatchedToo) {
  Watch watch(everywhere(in_puppet("counter")));
  const EventsOfWatch events(watch);
  Puppet late;
  // A file without a fixed address is found there by its records, some milliseconds later.
  ASSERT_TRUE(events.come());
  EventsOfWatch::settle();
  late.obey("bump 2");
  const auto result = watch.interrupt();
  ASSERT_EQ(result.hits.size(), 2U);
  EXPECT_EQ(result.hits[0]["pid"], late.pid());
}

TEST_P(WatchMachine, ProcessesThatEndGiveTheirDebugRegistersBack) {
  Watch watch(everywhere(in_puppet("counter")));
  const EventsOfWatch events(watch);
  // More than there are registers, each at an address of its own.
  constexpr int kProcesses = 6;
  for (int i = 0; i < kProcesses; ++i) {
    Puppet puppet;
    ASSERT_TRUE(events.come()) << "process " << i;
    EventsOfWatch::settle();
    puppet.obey("bump 1");
    puppet.send("exit 0");
    ASSERT_TRUE(events.are_as_at_first()) << "process " << i;
  }
  const auto result = watch.interrupt();
  EXPECT_EQ(result.hits.size(), kProcesses);
}

TEST_P(WatchMachine, FunctionOfAFileIsWatched) {
  Puppet puppet;
  Watch watch(everywhere(in_puppet("bump"), {"-t", "x"}));
  puppet.obey("bump 3");
  const auto result = watch.interrupt();
  EXPECT_EQ(result.hits.size(), 3U);
}

TEST_P(WatchMachine, AddressMeansThatOfAnyProcess) {
  Puppet puppet;
  const auto probe = run({TRAPLINE_COMMAND, "watch", "counter", "-p", std::to_string(puppet.pid()),
                          "--duration", "0.1", "-f", "json"});
  const auto start = nlohmann::json::parse(probe.out.substr(0, probe.out.find('\n')));
  const std::string address = start["watch"]["address"];
  Watch watch(everywhere("*" + address + ":4"));
  puppet.obey("bump 2");
  const auto result = watch.interrupt();
  EXPECT_EQ(std::ranges::count_if(result.hits,
                                  [&](const auto& hit) { return hit["pid"] == puppet.pid(); }),
            2);
}

// Which the kernel counts by itself or not: nobody can tell the difference.
TEST_P(WatchMachine, SummaryCountsTheHitsOfEveryProcess) {
  Puppet first;
  Puppet second;
  Watch watch(everywhere(in_puppet("counter"), {"--summary", "--stack", "none"}));
  first.obey("bump 200");
  second.obey("bump 300");
  const auto result = watch.interrupt();
  EXPECT_TRUE(result.hits.empty());
  EXPECT_EQ(result.end["hits"], 500);
  EXPECT_EQ(result.end["lost"], 0);
  std::uint64_t count = 0;
  for (const auto& row : result.summary) {
    EXPECT_EQ(row["symbol"], "bump");
    count += row["count"].get<std::uint64_t>();
  }
  EXPECT_EQ(count, 500U);
}

TEST_P(WatchMachine, ConditionsAreOnTheValuesOfEachProcess) {
  Puppet first;
  Puppet second;
  Watch watch(everywhere(in_puppet("counter"), {"--when", "new > 4"}));
  first.obey("bump 5");
  second.obey("bump 6");
  const auto result = watch.interrupt();
  std::map<int, std::vector<int>> values;
  for (const auto& hit : result.hits) values[hit["pid"].get<int>()].push_back(hit["new"]);
  EXPECT_EQ(values, (std::map<int, std::vector<int>>{{first.pid(), {5}}, {second.pid(), {5, 6}}}));
  EXPECT_EQ(result.end["filtered"], 8);
}

// A program begins with memory of its own, whoever had the process before.
TEST_P(WatchMachine, ProcessIsKnownAnewWhenItExecutesItsProgramAgain) {
  Puppet puppet;
  Watch watch(everywhere(in_puppet("counter")));
  puppet.obey("bump 3");
  puppet.send(std::string("exec ") + PUPPET_PROGRAM);
  EXPECT_EQ(puppet.process().read_line(), "ready " + std::to_string(puppet.pid()));
  std::this_thread::sleep_for(1s);
  puppet.obey("bump 1");
  const auto result = watch.interrupt();
  ASSERT_EQ(result.hits.size(), 4U);
  EXPECT_EQ(result.hits[3]["new"], 1);
  EXPECT_NE(result.hits[3].value("old", 0), 3) << result.hits[3];
}

TEST_P(WatchMachine, VariableOfTheKernelIsWatchedByName) {
  const auto result = run({TRAPLINE_COMMAND, "watch", "jiffies", "-a", "--duration", "1", "-f",
                           "json", "--collector", GetParam()});
  if (result.status == 1 && result.err.find("CONFIG_KALLSYMS_ALL") != std::string::npos)
    GTEST_SKIP() << result.err;
  ASSERT_EQ(result.status, 0) << result.err;
  std::istringstream lines(result.out);
  std::uint64_t last = 0;
  int hits = 0;
  int values = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto record = nlohmann::json::parse(line);
    if (record["type"] != "hit") continue;
    ++hits;
    EXPECT_EQ(record["kernel"], true);
    if (!record.contains("new")) continue;
    ++values;
    EXPECT_GE(record["new"].get<std::uint64_t>(), last);
    last = record["new"].get<std::uint64_t>();
  }
  EXPECT_GT(hits, 5);
  EXPECT_NE(last, 0U);
  // Read where the hit is made, or later and of the newest alone.
  if (std::string_view(GetParam()) == "bpf") {
    EXPECT_EQ(values, hits);
  }
}

TEST(WatchOfTheMachine, IsLeftToPerfWithTheReasonWhereBpfCannotDoIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may watch the whole machine here";
  Puppet puppet;
  const Watch watch({std::string(PUPPET_PROGRAM) + ":counter", "-a", "--stack", "dwarf"});
  EXPECT_EQ(watch.start()["collector"], "perf");
  EXPECT_THAT(watch.start()["notes"][0].get<std::string>(),
              AllOf(HasSubstr("collector bpf was not used"), HasSubstr("--stack dwarf")));
}

TEST(WatchOfTheMachine, IsLeftToBpfElsewhere) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may watch the whole machine here";
  Puppet puppet;
  const Watch watch({std::string(PUPPET_PROGRAM) + ":counter", "-a"});
  EXPECT_EQ(watch.start()["collector"], "bpf") << watch.start()["notes"];
}

TEST(WatchOfTheMachine, IsLeftToBpfOfTheKernelsMemoryToo) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may watch the whole machine here";
  const auto result =
      run({TRAPLINE_COMMAND, "watch", "jiffies", "-a", "--duration", "0.2", "-f", "json"});
  if (result.status == 1 && result.err.find("CONFIG_KALLSYMS_ALL") != std::string::npos)
    GTEST_SKIP() << result.err;
  ASSERT_EQ(result.status, 0) << result.err;
  const auto start = nlohmann::json::parse(result.out.substr(0, result.out.find('\n')));
  EXPECT_EQ(start["collector"], "bpf") << start["notes"];
}

TEST_P(WatchMachine, WhatCannotBeFoundIsExplained) {
  const auto name = run({TRAPLINE_COMMAND, "watch", "no_such_thing_anywhere", "-a"});
  EXPECT_EQ(name.status, 1);
  EXPECT_THAT(name.err, ::testing::AnyOf(HasSubstr("FILE:"), HasSubstr("CONFIG_KALLSYMS_ALL")));
  const auto file = run({TRAPLINE_COMMAND, "watch", "/no/such/file:counter", "-a"});
  EXPECT_EQ(file.status, 1);
  EXPECT_THAT(file.err, HasSubstr("/no/such/file"));
}

TEST_P(WatchMachine, UserWithoutTheRightIsToldWhichItIs) {
  ChildProcess::Options nobody;
  nobody.user = 65534;
  const auto result = run({TRAPLINE_COMMAND, "watch", "*0x400000:4", "-a", "--duration", "1",
                           "--collector", GetParam()},
                          nobody);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("CAP_PERFMON"));
}

// --- CPUs that come and go ---

// Makes the kernel fail at one of its own states while it takes CPU 1 down
// (Documentation/core-api/cpu_hotplug.rst, "Testing of hotplug states").
class FailingCpu {
 public:
  // True if the CPU has lost its perf events and is still online.
  static bool take_down() {
    const std::string folder = "/sys/devices/system/cpu/cpu1/hotplug/";
    // The first state below the one at which the kernel takes perf's events down.
    std::ifstream states("/sys/devices/system/cpu/hotplug/states");
    std::string before_perf;
    for (std::string line; std::getline(states, line);) {
      if (line.find("perf:online") != std::string::npos) break;
      before_perf = line.substr(0, line.find(':'));
    }
    {
      std::ofstream(folder + "fail") << before_perf << std::flush;
    }
    const bool went = SpareCpu::set_online(false);
    {
      std::ofstream(folder + "fail") << -1 << std::flush;
    }
    return !went && linux_port::CpuFiles().online()->contains(kSpareCpu);
  }
};

class WatchThroughHotplug : public WatchMachine {
 protected:
  void SetUp() override {
    WatchMachine::SetUp();
    if (IsSkipped()) return;
    if (const std::string reason = why_no_hotplug(); !reason.empty()) GTEST_SKIP() << reason;
  }
  // Takes CPU 1 away and brings it back, so many times, while the writer writes.
  static void cycle(int cycles) {
    for (int i = 0; i < cycles; ++i) {
      ASSERT_TRUE(SpareCpu::set_online(false));
      std::this_thread::sleep_for(5ms);
      ASSERT_TRUE(SpareCpu::set_online(true));
      std::this_thread::sleep_for(20ms);
    }
  }

  SpareCpu cpu1_;
};

INSTANTIATE_TEST_SUITE_P(Collectors, WatchThroughHotplug, ::testing::Values("bpf", "perf"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(WatchThroughHotplug, WatchOfAProcessMissesNothing) {
  CpuWriter writer(kSpareCpu.value);
  Watch watch({"counter", "-p", std::to_string(writer.pid()), "--collector", GetParam()});
  cycle(hotplug_cycles());
  const auto writes = writer.finish();
  const auto result = watch.finish();
  expect_none_missed(writes, result);
  EXPECT_GT(
      std::ranges::count_if(writes, [](const Write& it) { return it.cpu == kSpareCpu.value; }), 0)
      << "nothing was written on the CPU that went away";
}

// The kernel takes part of the CPU down, its perf events too, and changes its mind.
TEST_P(WatchThroughHotplug, CpuThatTheKernelKeptAfterAllIsWatchedAgain) {
  CpuWriter writer(kSpareCpu.value);
  Watch watch(everywhere(std::string(CPU_WRITER_PROGRAM) + ":counter"));
  std::this_thread::sleep_for(600ms);
  if (!FailingCpu::take_down())
    GTEST_SKIP() << "this kernel cannot be made to fail a CPU's way down";
  std::this_thread::sleep_for(1s);
  const auto writes = writer.finish();
  const auto result = watch.interrupt();
  ASSERT_EQ(result.cpus.size(), 1U);
  EXPECT_EQ(result.cpus[0]["event"], "online");
  EXPECT_GT(result.cpus[0]["gap_ns"], 0);
  const std::uint64_t again = result.cpus[0]["time_ns"];
  const auto last = std::ranges::find_if(
      result.hits, [&](const auto& hit) { return hit["cpu"] == 1 && hit["time_ns"] > again; });
  EXPECT_NE(last, result.hits.end());
}

// Somebody may have written meanwhile.
TEST_P(WatchThroughHotplug, OldValueIsLeftOutOfTheFirstHitAfterAGap) {
  Puppet puppet;
  Watch watch(everywhere(in_puppet("counter")));
  const EventsOfWatch events(watch);
  puppet.obey("bump 2");
  ASSERT_TRUE(SpareCpu::set_online(false));
  ASSERT_TRUE(events.go());
  ASSERT_TRUE(SpareCpu::set_online(true));
  ASSERT_TRUE(events.are_as_at_first());
  EventsOfWatch::settle();
  puppet.obey("bump 2");
  const auto result = watch.interrupt();
  ASSERT_EQ(result.hits.size(), 4U);
  EXPECT_EQ(result.hits[1]["old"], 1);
  EXPECT_FALSE(result.hits[2].contains("old")) << result.hits[2];
  EXPECT_EQ(result.hits[3].contains("old"), result.hits[2].contains("new")) << result.hits[3];
  if (GetParam() == std::string_view("bpf")) {
    EXPECT_EQ(result.hits[3]["old"], 3);
  }
}

TEST_P(WatchThroughHotplug, WatchOfTheMachineMissesNothingOutsideItsGaps) {
  const int cycles = hotplug_cycles();
  CpuWriter writer(kSpareCpu.value);
  Watch watch(everywhere(std::string(CPU_WRITER_PROGRAM) + ":counter"));
  const std::size_t events = events_of(watch.process().pid());
  cycle(cycles);
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(events_of(watch.process().pid()), events);
  const auto writes = writer.finish();
  const auto result = watch.interrupt();

  struct Gap {
    std::uint64_t begin;
    std::uint64_t end;
  };
  std::vector<Gap> gaps;
  std::vector<std::uint64_t> reinstalls;
  int offline = 0;
  std::uint64_t last_offline = 0;
  std::uint64_t unwatched_since = 0;
  for (const auto& change : result.cpus) {
    EXPECT_EQ(change["cpu"], kSpareCpu.value);
    const std::uint64_t time = change["time_ns"];
    if (change["event"] == "offline") {
      ++offline;
      // It came and went before the watch could be set.
      if (unwatched_since != 0) gaps.push_back({unwatched_since, time});
      unwatched_since = 0;
      last_offline = time;
      continue;
    }
    if (change.contains("watched")) {
      unwatched_since = last_offline;
      continue;
    }
    const std::uint64_t gap = change["gap_ns"];
    gaps.push_back({time - gap, time});
    reinstalls.push_back(change["reinstall_ns"]);
  }
  // On a machine so slow that the next cycle begins before the last one was handled, the two are
  // told as one; that each is told where there is time is a test of machine_collector_test.
  EXPECT_GE(offline, cycles / 2);
  EXPECT_LE(offline, cycles);
  EXPECT_EQ(gaps.size(), static_cast<std::size_t>(offline));
  EXPECT_EQ(result.end["lost"], 0);

  std::map<std::uint64_t, bool> seen;
  for (const auto& hit : result.hits) {
    if (hit["pid"] != writer.pid()) continue;
    ASSERT_TRUE(hit.contains("new")) << hit;
    seen[hit["new"].get<std::uint64_t>()] = true;
  }
  ASSERT_FALSE(seen.empty());
  std::size_t on_spare = 0;
  std::size_t in_gaps = 0;
  for (const Write& write : writes) {
    if (write.value < seen.begin()->first) continue;
    if (write.cpu == kSpareCpu.value) ++on_spare;
    if (seen.contains(write.value)) continue;
    const bool in_gap = std::ranges::any_of(
        gaps, [&](const Gap& gap) { return write.begin <= gap.end && gap.begin <= write.end; });
    EXPECT_TRUE(in_gap) << "write " << write.value << " on CPU " << write.cpu
                        << " was missed outside every gap";
    ++in_gaps;
  }
  EXPECT_GT(on_spare, 0U) << "nothing was written on the CPU that went away";
  std::ranges::sort(reinstalls);
  std::ranges::sort(gaps, {}, [](const Gap& gap) { return gap.end - gap.begin; });
  const Gap& median = gaps[gaps.size() / 2];
  std::printf(
      "%s, %d cycles, %zu writes, %zu on CPU 1, %zu missed inside gaps; median: watch set %.3f ms "
      "after "
      "the kernel's event, gap at most %.3f ms\n",
      GetParam(), cycles, writes.size(), on_spare, in_gaps,
      static_cast<double>(reinstalls[reinstalls.size() / 2]) / 1e6,
      static_cast<double>(median.end - median.begin) / 1e6);
}

}  // namespace
}  // namespace trapline::testing
