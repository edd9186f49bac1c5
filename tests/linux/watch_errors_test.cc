// What bad input and a hostile world get: one clear line, an unharmed target, nothing left
// installed, no hang.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "tests/linux/watch_fixture.h"

namespace trapline::testing {
namespace {

using ::testing::AllOf;
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

TEST(WatchErrors, NeitherProcessNorCommandIsAUsageError) {
  expect_refusal(trapline({"counter"}), 2, "-p PID");
}

TEST(WatchErrors, BothProcessAndCommandIsAUsageError) {
  expect_refusal(trapline({"counter", "-p", "1", "--", "/bin/true"}), 2, "not both");
}

TEST(WatchErrors, RangeTooLongTellsHowLongItMayBe) {
  Puppet puppet;
  expect_refusal(trapline(watch_arguments("buffer", puppet)), 1, "at most 32 bytes");
}

TEST(WatchErrors, ReadOnlyAccessOnX86SaysWhatToUse) {
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
  EXPECT_EQ(exit.err, "");
  EXPECT_TRUE(all_slots_are_free(puppet.pid()));
}

TEST(WatchErrors, SlotsTakenNamesTheHolder) {
  Puppet puppet;
  const std::vector<int> descriptors = take_slots(puppet.pid());
  ASSERT_EQ(descriptors.size(), 4U);
  expect_refusal(trapline(watch_arguments("counter", puppet)), 1,
                 "pid " + std::to_string(::getpid()));
  for (const int fd : descriptors) ::close(fd);
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

TEST(WatchErrors, WithoutPerfPrivilegeAnOwnCommandIsWatchedByPtrace) {
  std::ifstream setting("/proc/sys/kernel/perf_event_paranoid");
  int paranoid = 0;
  setting >> paranoid;
  ChildProcess::Options as_nobody;
  as_nobody.user = kNobody;
  const auto exit = run({TRAPLINE_COMMAND, "watch", "-f", "json", "--collector", "ptrace",
                         "_IO_2_1_stdout_.file._IO_write_ptr", "--", "/bin/echo", "hello"},
                        as_nobody);
  EXPECT_EQ(exit.status, 0) << exit.err;
  EXPECT_THAT(exit.out, HasSubstr("\"collector\":\"ptrace\""))
      << "perf_event_paranoid is " << paranoid;
  EXPECT_THAT(exit.out, HasSubstr("\"type\":\"hit\""));
}

}  // namespace
}  // namespace trapline::testing
