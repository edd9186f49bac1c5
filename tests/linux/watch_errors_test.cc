// What bad input and a hostile world get: one clear line, an unharmed target, nothing left
// installed, no hang.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "native_machine.h"
#include "tests/linux/watch_fixture.h"

namespace trapline::testing {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr uid_t kNobody = 65534;

ChildProcess::Exit trapline(std::vector<std::string> arguments,
                            const ChildProcess::Options& options = {}) {
  arguments.insert(arguments.begin(), {TRAPLINE_COMMAND, "watch"});
  return run(arguments, options);
}

// One line on standard error, nothing on standard output, the given exit status.
void expect_refusal(const ChildProcess::Exit& exit, int status, const std::string& words) {
  EXPECT_FALSE(exit.timed_out);
  EXPECT_EQ(exit.status, status) << exit.err;
  EXPECT_THAT(exit.err, AllOf(StartsWith("trapline: "), HasSubstr(words)));
  EXPECT_EQ(exit.out, "");
}

pid_t pid_of_the_dead() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  return child;
}

TEST(WatchErrors, NoSuchProcess) {
  expect_refusal(trapline({"counter", "-p", std::to_string(pid_of_the_dead())}), 1,
                 "there is no process or thread");
}

TEST(WatchErrors, ZombieIsNamedAsEnded) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  expect_refusal(trapline({"counter", "-p", std::to_string(child)}), 1, "has ended");
  ::waitpid(child, nullptr, 0);
}

TEST(WatchErrors, AnotherUsersProcessNeedsAPrivilege) {
  Puppet puppet;
  ChildProcess::Options as_nobody;
  as_nobody.user = kNobody;
  const auto exit = trapline(watch_arguments("counter", puppet), as_nobody);
  EXPECT_EQ(exit.status, 1);
  EXPECT_THAT(exit.err, StartsWith("trapline: "));
  EXPECT_THAT(exit.err, ::testing::AnyOf(HasSubstr("root"), HasSubstr("CAP_")));
  puppet.obey("bump 1");
}

TEST(WatchErrors, UnknownNameListsTheNearest) {
  Puppet puppet;
  expect_refusal(trapline(watch_arguments("countr", puppet)), 1, "counter");
}

TEST(WatchErrors, AmbiguousNameListsNamesThatAreNot) {
  Puppet puppet;
  const auto exit = trapline(watch_arguments("twice", puppet, {"--duration", "1"}));
  expect_refusal(exit, 1, "puppet.c:twice");
  EXPECT_THAT(exit.err, HasSubstr("rival.c:twice"));
  for (const std::string file : {"puppet.c", "rival.c"}) {
    Watch watch(watch_arguments(file + ":twice", puppet));
    puppet.obey("fields 5");
    const auto result = watch.interrupt();
    ASSERT_EQ(result.hits.size(), 1U) << file;
    EXPECT_THAT(result.hits[0].value("file", ""), EndsWith(file));
  }
}

TEST(WatchErrors, UnknownMemberListsTheMembers) {
  Puppet puppet;
  expect_refusal(trapline(watch_arguments("cfg.mod", puppet)), 1, "mode");
}

TEST(WatchErrors, SyntaxErrorPointsAtTheCharacter) {
  Puppet puppet;
  expect_refusal(trapline(watch_arguments("cfg..mode", puppet)), 2, "^");
}

TEST(WatchErrors, ConditionErrorPointsAtTheCharacter) {
  Puppet puppet;
  expect_refusal(trapline(watch_arguments("counter", puppet, {"--when", "new =< 3"})), 2, "^");
}

TEST(WatchErrors, ConditionThatTheTypeDoesNotAllowPointsAtTheCharacter) {
  struct Row {
    const char* what;
    const char* condition;
    const char* words;
  };
  Puppet puppet;
  for (const Row& row :
       {Row{"small", "new == 300",
            "; small is unsigned char, 0 to 255 (at character 8)\n    new == 300\n           ^\n"},
        Row{"counter", "new > 1.5", "    new > 1.5\n          ^\n"},
        Row{"counter", "new & 0x100000000", "; counter is int, -2147483648 to 2147483647"},
        Row{"real", "new & 1", "; real is double (at"},
        Row{"counter", "comm < 3", "    comm < 3\n         ^\n"},
        Row{"counter", "comm == 0123456789abcdef", "at most 15 bytes"},
        Row{"counter", "tid == -1", "    tid == -1\n           ^\n"}})
    expect_refusal(trapline(watch_arguments(row.what, puppet, {"--when", row.condition})), 2,
                   row.words);
  expect_refusal(trapline({"counter", "--when", "new > 1.5", "--", PUPPET_PROGRAM}), 2,
                 "; counter is int");
  puppet.obey("bump 1");
}

TEST(WatchErrors, NeitherProcessNorCommandIsAUsageError) {
  expect_refusal(trapline({"counter"}), 2, "-p PID");
}

TEST(WatchErrors, BothProcessAndCommandIsAUsageError) {
  expect_refusal(trapline({"counter", "-p", "1", "--", "/bin/true"}), 2, "not several");
}

TEST(WatchErrors, RangeTooLongTellsHowLongItMayBe) {
  Puppet puppet;
  expect_refusal(trapline(watch_arguments("buffer", puppet)), 1, "at most 32 bytes");
}

TEST(WatchErrors, ReadOnlyAccessThatTheMachineLacksSaysWhatToUse) {
  if (native::kWatchesReadsAlone) GTEST_SKIP() << "this machine's registers watch reads alone";
  Puppet puppet;
  expect_refusal(trapline(watch_arguments("counter", puppet, {"-t", "r"})), 1, "-t rw");
}

TEST(WatchErrors, ThreadLocalVariableSaysWhatToDo) {
  Puppet puppet;
  expect_refusal(trapline(watch_arguments("per_thread", puppet)), 1, "thread");
}

TEST(WatchErrors, NullPointerOnTheWayIsNamed) {
  Puppet puppet;
  expect_refusal(trapline(watch_arguments("tail.next->value", puppet)), 1, "null");
}

TEST(WatchErrors, IndexBeyondTheArrayIsRefused) {
  Puppet puppet;
  expect_refusal(trapline(watch_arguments("table[4].mode", puppet)), 1, "4");
}

TEST(WatchErrors, CommandThatDoesNotExist) {
  expect_refusal(trapline({"counter", "--", "/no/such/program"}), 1, "/no/such/program");
}

TEST(WatchErrors, OutputFileThatCannotBeMade) {
  Puppet puppet;
  expect_refusal(trapline(watch_arguments("counter", puppet, {"-o", "/no/such/folder/hits.json"})),
                 1, "/no/such/folder/hits.json");
}

TEST(WatchErrors, DiskFullEndsTheWatchAndFreesTheTarget) {
  Puppet puppet;
  ChildProcess watch({TRAPLINE_COMMAND, "watch", "counter", "-p", std::to_string(puppet.pid()),
                      "-o", "/dev/full"});
  const auto exit = watch.wait();
  EXPECT_FALSE(exit.timed_out);
  EXPECT_EQ(exit.status, 1);
  EXPECT_THAT(exit.err, HasSubstr("/dev/full"));
  EXPECT_TRUE(all_slots_are_free(puppet.pid()));
  puppet.obey("bump 3");
}

TEST(WatchErrors, ClosedPipeEndsTheWatchQuietly) {
  Puppet puppet;
  ChildProcess::Options options;
  options.close_stdout = true;
  const auto exit = trapline(watch_arguments("counter", puppet), options);
  EXPECT_FALSE(exit.timed_out);
  EXPECT_EQ(exit.status, 0);
  EXPECT_EQ(exit.err, "");
  EXPECT_TRUE(all_slots_are_free(puppet.pid()));
  puppet.obey("bump 1");
}

TEST(WatchErrors, SlotsTakenNamesTheHolder) {
  Puppet puppet;
  const std::vector<int> descriptors = take_slots(puppet.pid());
  ASSERT_EQ(descriptors.size(), 4U);
  expect_refusal(trapline(watch_arguments("counter", puppet)), 1,
                 "pid " + std::to_string(::getpid()));
  for (const int fd : descriptors) ::close(fd);
}

TEST(WatchErrors, RegistersLeftByAnEarlierPtraceWatchDoNotStopTheAutomaticChoice) {
  Puppet puppet;
  // Four registers, which the kernel keeps for ptrace until the thread ends.
  const auto first =
      trapline(watch_arguments("cfg", puppet, {"--collector", "ptrace", "--duration", "0.05"}));
  ASSERT_EQ(first.status, 0) << first.err;
  Watch second(watch_arguments("counter", puppet));
  puppet.obey("bump 1");
  const auto result = second.interrupt();
  EXPECT_EQ(result.hits.size(), 1U);
  EXPECT_EQ(second.start()["collector"], "ptrace") << second.start().dump();
  expect_refusal(trapline(watch_arguments("counter", puppet, {"--collector", "perf"})), 1,
                 "too few free debug registers");
}

TEST(WatchErrors, TracedTargetRefusesTheSecondTracerByName) {
  Puppet puppet;
  Watch first(watch_arguments("counter", puppet, {"--collector", "ptrace"}));
  expect_refusal(trapline(watch_arguments("counter", puppet, {"--collector", "ptrace"})), 1,
                 "process " + std::to_string(first.process().pid()));
  EXPECT_EQ(first.interrupt().status, 0);
}

TEST(WatchErrors, UnloadedLibraryEndsTheWatch) {
  Puppet puppet;
  puppet.obey("load " PUPPET_PLUGIN);
  Watch watch(watch_arguments("plugin_state", puppet));
  puppet.obey("unload " PUPPET_PLUGIN);
  const auto result = watch.finish();
  EXPECT_EQ(result.hits.size(), 1U);
  EXPECT_THAT(result.end.value("reason", ""), HasSubstr("was unloaded"));
}

TEST(WatchErrors, UnmappedAddressIsRefused) {
  Puppet puppet;
  expect_refusal(trapline(watch_arguments("*0x10:8", puppet)), 1, "0x10");
}

// perf_event_open is forbidden, as in a container: the automatic choice falls back and says so, an
// explicit choice is refused.
ChildProcess::Options without_perf(std::optional<uid_t> user = {}) {
  ChildProcess::Options options;
  options.forbid_perf = true;
  options.user = user;
  return options;
}

constexpr const char* kOutputPointer = "_IO_2_1_stdout_.file._IO_write_ptr";

auto names_what_forbids_perf() {
  return ::testing::AnyOf(HasSubstr("kernel.perf_event_paranoid is"), HasSubstr("seccomp"));
}

// The start record in front of `out`, and that a hit follows it.
void expect_ptrace_with_a_note(const std::string& out) {
  const auto start = nlohmann::json::parse(out.substr(0, out.find('\n')), nullptr, false);
  EXPECT_EQ(start.value("type", ""), "start") << out;
  EXPECT_EQ(start.value("collector", ""), "ptrace");
  const auto notes = start.value("notes", nlohmann::json::array());
  // That system calls go unseen is the third one.
  ASSERT_EQ(notes.size(), 3U) << start.dump();
  EXPECT_THAT(notes[0].get<std::string>(), HasSubstr("collector bpf was not used"));
  EXPECT_THAT(notes[1].get<std::string>(),
              AllOf(HasSubstr("collector perf was not used"), names_what_forbids_perf()));
  EXPECT_THAT(out, HasSubstr("\n{\"type\":\"hit\""));
}

TEST(WatchErrors, WithoutPerfAnOrdinaryUsersCommandIsWatchedByPtrace) {
  const auto exit =
      trapline({"-f", "json", kOutputPointer, "--", "/bin/echo", "hello"}, without_perf(kNobody));
  EXPECT_EQ(exit.status, 0) << exit.err;
  EXPECT_THAT(exit.out, HasSubstr("hello\n"));
  expect_ptrace_with_a_note(exit.out);
}

TEST(WatchErrors, VerboseTellsWhatTheKernelSaysOfTheBpfPrograms) {
  ChildProcess::Options as_nobody;
  as_nobody.user = kNobody;
  for (const bool verbose : {false, true}) {
    std::vector<std::string> arguments{"--collector", "bpf", kOutputPointer, "--", "/bin/echo"};
    if (verbose) arguments.insert(arguments.begin(), "-v");
    const auto exit = trapline(arguments, as_nobody);
    EXPECT_EQ(exit.status, 1);
    EXPECT_THAT(exit.err, HasSubstr("trapline: BPF programs need CAP_BPF and CAP_PERFMON"));
    EXPECT_EQ(exit.err.find("libbpf: ") != std::string::npos, verbose) << exit.err;
  }
}

TEST(WatchErrors, WithoutPerfAProcessIsWatchedByPtrace) {
  Puppet puppet;
  auto arguments = watch_arguments("counter", puppet, {"-f", "json", "-n", "1"});
  arguments.insert(arguments.begin(), {TRAPLINE_COMMAND, "watch"});
  ChildProcess watch(arguments, without_perf());
  const auto start = watch.read_line();
  ASSERT_TRUE(start);
  puppet.obey("bump 1");
  const auto exit = watch.wait();
  EXPECT_EQ(exit.status, 0) << exit.err;
  expect_ptrace_with_a_note(*start + "\n" + exit.out);
}

TEST(WatchErrors, WithoutPerfTheTextReportSaysWhyItUsesPtrace) {
  const auto exit =
      trapline({"-f", "text", kOutputPointer, "--", "/bin/echo", "hello"}, without_perf());
  EXPECT_EQ(exit.status, 0) << exit.err;
  EXPECT_THAT(exit.err, AllOf(HasSubstr("collector perf was not used"), names_what_forbids_perf()));
}

TEST(WatchErrors, WithoutPerfAnExplicitPerfIsRefusedInOneLine) {
  for (const std::optional<uid_t> user : {std::optional<uid_t>(), std::optional<uid_t>(kNobody)}) {
    const auto exit = trapline({"--collector", "perf", kOutputPointer, "--", "/bin/echo", "hello"},
                               without_perf(user));
    expect_refusal(exit, 1, "perf_event");
    EXPECT_THAT(exit.err, names_what_forbids_perf());
    EXPECT_EQ(std::ranges::count(exit.err, '\n'), 1) << exit.err;
  }
}

// What goes wrong with the output in the middle of hits, on every collector.
class WatchOutput : public ::testing::TestWithParam<const char*> {
 protected:
  // Not Watch: that reads to the end.
  [[nodiscard]] std::vector<std::string> command_line(const std::vector<std::string>& more) const {
    auto line = watch_arguments("counter", puppet_, more);
    line.insert(line.begin(), {TRAPLINE_COMMAND, "watch", "-f", "json", "--collector", GetParam()});
    return line;
  }
  void expect_an_unharmed_target(const std::string& answer) {
    EXPECT_EQ(puppet_.obey("bump 1"), answer);
    EXPECT_TRUE(second_watch_has_every_slot(puppet_, GetParam()));
  }

  Puppet puppet_;
};

INSTANTIATE_TEST_SUITE_P(Collectors, WatchOutput, ::testing::Values("bpf", "perf", "ptrace"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(WatchOutput, DiskThatFillsUpEndsTheWatchAndFreesTheTarget) {
  constexpr rlim_t kRoomForSomeHits = 64UL * 1024;
  const std::string path = ::testing::TempDir() + "/full." + std::to_string(::getpid()) + ".json";
  ChildProcess::Options options;
  options.file_size_limit = kRoomForSomeHits;
  ChildProcess watch(command_line({"-o", path}), options);
  // The start record is in the file once the watch is installed.
  std::error_code absent;
  const auto is_empty = [&] {
    const auto size = std::filesystem::file_size(path, absent);
    return absent || size == 0;
  };
  while (watch.is_running() && is_empty()) ::usleep(2000);
  EXPECT_EQ(puppet_.obey("bump 2000"), "ok 2000");
  const auto exit = watch.wait();
  expect_refusal(exit, 1, "cannot write to " + path);
  EXPECT_EQ(std::filesystem::file_size(path), kRoomForSomeHits);
  std::filesystem::remove(path);
  expect_an_unharmed_target("ok 2001");
}

TEST_P(WatchOutput, ReaderThatLeavesAfterAHitEndsTheWatchQuietly) {
  ChildProcess watch(command_line({}));
  ASSERT_TRUE(watch.read_line());
  puppet_.obey("bump 1");
  const auto hit = watch.read_line();
  ASSERT_TRUE(hit);
  EXPECT_THAT(*hit, StartsWith("{\"type\":\"hit\""));
  watch.close_stdout();
  EXPECT_EQ(puppet_.obey("bump 1000"), "ok 1001");
  const auto exit = watch.wait();
  EXPECT_FALSE(exit.timed_out);
  EXPECT_EQ(exit.status, 0);
  EXPECT_EQ(exit.err, "");
  expect_an_unharmed_target("ok 1002");
}

}  // namespace
}  // namespace trapline::testing
