#include "ports/linux/launch.h"

#include <elf.h>
#include <endian.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "ports/linux/proc_fs.h"
#include "ports/linux/ptrace_arch.h"
#include "ports/linux/remote_memory.h"

namespace trapline::linux_port {
namespace {

using ::testing::HasSubstr;

int wait_for(ProcessId pid) {
  int status = 0;
  while (::waitpid(pid.value, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

// Releases it and gives its exit status.
int run_to_end(LaunchedCommand& command) {
  const ProcessId pid = command.pid();
  const auto released = command.release();
  EXPECT_TRUE(released.has_value());
  return WEXITSTATUS(wait_for(pid));
}

class LaunchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "launch_test.XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override {
    std::filesystem::remove_all(folder_);
    // Whatever happened, nobody is left.
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG | __WALL), -1);
    EXPECT_EQ(errno, ECHILD);
  }

  std::string write_file(const std::string& name, const std::string& text, int mode) {
    const std::string path = (folder_ / name).string();
    std::ofstream(path) << text;
    ::chmod(path.c_str(), static_cast<mode_t>(mode));
    return path;
  }

  static Failure refuse(const std::vector<std::string>& arguments) {
    auto command = LaunchedCommand::start(arguments);
    EXPECT_FALSE(command.has_value());
    return command ? Failure{} : command.error();
  }

  std::filesystem::path folder_;
};

// Each way of linking a program has its own way to the entry point.
class LaunchLinkingTest : public ::testing::TestWithParam<const char*> {};

TEST_P(LaunchLinkingTest, WaitsAtEntryPointWithItsInstructionInPlace) {
  const std::string path = std::string(LAUNCH_TEST_TARGETS "/launch_test_target_") + GetParam();
  auto command = LaunchedCommand::start({path});
  ASSERT_TRUE(command.has_value()) << command.error().message;
  const ProcessId pid = command->pid();
  const auto auxv = read_file("/proc/" + std::to_string(pid.value) + "/auxv");
  ASSERT_TRUE(auxv.has_value());
  const RemoteAddress entry(*find_auxv(*auxv, AT_ENTRY));
  const auto registers = read_user_registers(ThreadId{pid.value});
  ASSERT_TRUE(registers.has_value());
  EXPECT_EQ(frame_registers(*registers).instruction, code_address(entry).value());

  // The instruction is the one in the file.
  const auto maps = read_maps(pid);
  ASSERT_TRUE(maps.has_value());
  const auto mapping = std::ranges::find_if(
      *maps, [&](const Mapping& m) { return m.start <= entry && entry < m.end; });
  ASSERT_NE(mapping, maps->end());
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(mapping->file_offset + (entry - mapping->start).value));
  std::uint64_t expected = 0;
  file.read(reinterpret_cast<char*>(&expected), sizeof expected);
  RemoteMemory memory(pid);
  EXPECT_EQ(memory.read_object<std::uint64_t>(entry), expected);

  const bool is_dynamic = std::string(GetParam()).find("static") == std::string::npos;
  const bool has_libc = std::ranges::any_of(
      *maps, [](const Mapping& m) { return m.path.find("/libc.so") != std::string::npos; });
  EXPECT_EQ(has_libc, is_dynamic);
  EXPECT_EQ(run_to_end(*command), 21);
}

INSTANTIATE_TEST_SUITE_P(Linking, LaunchLinkingTest, ::testing::Values(LAUNCH_TEST_LINKINGS));

TEST_F(LaunchTest, CommandIsFoundInPathAndGetsItsArguments) {
  auto command = LaunchedCommand::start({"sh", "-c", "test \"$1\" = 'a b' && exit 7", "sh", "a b"});
  ASSERT_TRUE(command.has_value()) << command.error().message;
  EXPECT_EQ(run_to_end(*command), 7);
}

TEST_F(LaunchTest, InterpreterOfScriptIsWhatWaits) {
  const std::string script = write_file("script", "#!/bin/sh\nexit 9\n", 0755);
  auto command = LaunchedCommand::start({script});
  ASSERT_TRUE(command.has_value()) << command.error().message;
  EXPECT_EQ(std::filesystem::path(executable_path(command->pid())),
            std::filesystem::canonical("/bin/sh"));
  EXPECT_EQ(run_to_end(*command), 9);
}

TEST_F(LaunchTest, WhatCannotBeRunIsRefusedWithTheReason) {
  Failure failure = refuse({"no-such-command-anywhere"});
  EXPECT_EQ(failure.error, (Error{ErrorCode::unknown_name, ENOENT}));
  EXPECT_THAT(failure.message,
              HasSubstr("cannot run no-such-command-anywhere: no such command in PATH"));

  failure = refuse({(folder_ / "missing").string()});
  EXPECT_EQ(failure.error, (Error{ErrorCode::unknown_name, ENOENT}));
  EXPECT_THAT(failure.message, HasSubstr("no such file"));

  failure = refuse({write_file("plain", "text", 0644)});
  EXPECT_EQ(failure.error, (Error{ErrorCode::unknown_name, EACCES}));
  EXPECT_THAT(failure.message, HasSubstr("not executable"));

  failure = refuse({write_file("orphan", "#!/no/such/interpreter\n", 0755)});
  EXPECT_EQ(failure.error, (Error{ErrorCode::unknown_name, ENOENT}));
  EXPECT_THAT(failure.message, HasSubstr("interpreter"));

  EXPECT_EQ(refuse({}).error.code, ErrorCode::unknown_name);
  EXPECT_EQ(refuse({""}).error.code, ErrorCode::unknown_name);
}

// Starts `path` as an ordinary user of nobody's group, in a process of its own. The message of the
// refusal; "" if it was started.
std::string start_as_nobody(const std::string& path) {
  constexpr uid_t kNobody = 65534;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    std::string message;
    if (::setgroups(0, nullptr) != 0 || ::setgid(kNobody) != 0 || ::setuid(kNobody) != 0 ||
        ::prctl(PR_SET_DUMPABLE, 1) != 0)  // changing users ended it; children are traced by it
      message = "cannot become nobody";
    if (message.empty()) {
      auto command = LaunchedCommand::start({path});
      if (!command) message = command.error().message;
    }
    [[maybe_unused]] const ssize_t written = ::write(ends[1], message.data(), message.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string message(1024, '\0');
  const ssize_t count = ::read(ends[0], message.data(), message.size());
  ::close(ends[0]);
  EXPECT_EQ(wait_for(ProcessId{child}), 0);
  message.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return message;
}

class LaunchPrivilegesTest : public LaunchTest {
 protected:
  void SetUp() override {
    LaunchTest::SetUp();
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make privileged programs";
    struct statvfs mount{};
    ASSERT_EQ(::statvfs(folder_.c_str(), &mount), 0);
    if ((mount.f_flag & ST_NOSUID) != 0) GTEST_SKIP() << folder_ << " is mounted nosuid";
    ASSERT_EQ(::chmod(folder_.c_str(), 0755), 0);
    std::filesystem::copy_file("/bin/true", program_ = (folder_ / "program").string());
    ASSERT_EQ(start_as_nobody(program_), "");
  }

  void start_as_root() const {
    auto command = LaunchedCommand::start({program_});
    ASSERT_TRUE(command.has_value()) << command.error().message;
    EXPECT_EQ(run_to_end(*command), 0);
  }

  void give_to_group(gid_t group, mode_t mode) const {
    ASSERT_EQ(::chown(program_.c_str(), 0, group), 0);
    ASSERT_EQ(::chmod(program_.c_str(), mode), 0);
  }

  static constexpr gid_t kOtherGroup = 4242;
  std::string program_;
};

TEST_F(LaunchPrivilegesTest, SetUidProgramIsRefusedToAnOrdinaryUserOnly) {
  ASSERT_EQ(::chmod(program_.c_str(), 04755), 0);
  EXPECT_THAT(start_as_nobody(program_),
              HasSubstr("is a set-uid program, which would run without its privileges"));
  start_as_root();
}

TEST_F(LaunchPrivilegesTest, SetGidProgramIsRefusedToAnOrdinaryUserOnly) {
  ASSERT_NO_FATAL_FAILURE(give_to_group(kOtherGroup, 02755));
  EXPECT_THAT(start_as_nobody(program_),
              HasSubstr("is a set-gid program, which would run without its privileges"));
  start_as_root();
}

TEST_F(LaunchPrivilegesTest, SetGidBitWithoutGroupExecutionGivesNothing) {
  ASSERT_NO_FATAL_FAILURE(give_to_group(kOtherGroup, 02745));
  EXPECT_EQ(start_as_nobody(program_), "");
}

TEST_F(LaunchPrivilegesTest, SetGidProgramOfTheUsersOwnGroupIsStarted) {
  constexpr gid_t kNobodysGroup = 65534;
  ASSERT_NO_FATAL_FAILURE(give_to_group(kNobodysGroup, 02755));
  EXPECT_EQ(start_as_nobody(program_), "");
}

TEST_F(LaunchPrivilegesTest, ProgramWithFileCapabilitiesIsRefusedToAnOrdinaryUserOnly) {
  vfs_cap_data data{};
  data.magic_etc = htole32(VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE);
  data.data[0].permitted = htole32(1U << CAP_NET_RAW);
  if (::setxattr(program_.c_str(), "security.capability", &data, sizeof data, 0) != 0)
    GTEST_SKIP() << "capabilities cannot be given to a file here, errno " << errno;
  EXPECT_THAT(start_as_nobody(program_),
              HasSubstr("is a program with file capabilities, which would run without its "));
  start_as_root();
}

TEST_F(LaunchTest, ProgramThatEndsBeforeItsEntryPointIsReported) {
  // The dynamic loader lists the libraries and ends (ld.so(8)).
  ::setenv("LD_TRACE_LOADED_OBJECTS", "1", 1);  // NOLINT(concurrency-mt-unsafe): one thread
  const int saved = ::dup(STDOUT_FILENO);
  const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(null, 0);
  ASSERT_GE(saved, 0);
  ::dup2(null, STDOUT_FILENO);
  const Failure failure = refuse({LAUNCH_TEST_TARGETS "/launch_test_target_pie"});
  ::dup2(saved, STDOUT_FILENO);
  ::close(null);
  ::close(saved);
  ::unsetenv("LD_TRACE_LOADED_OBJECTS");  // NOLINT(concurrency-mt-unsafe): one thread
  EXPECT_EQ(failure.error.code, ErrorCode::target_gone);
  EXPECT_THAT(failure.message, HasSubstr("before it reached its entry point"));
}

TEST_F(LaunchTest, SignalsAreInheritedAsTheyWereCaptured) {
  ::signal(SIGUSR2, SIG_IGN);
  const InheritedSignals inherited = InheritedSignals::capture();
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  const std::string output = (folder_ / "status").string();
  auto command = LaunchedCommand::start(
      {"sh", "-c", "grep -E '^Sig(Blk|Ign)' /proc/self/status > " + output}, inherited);
  ::signal(SIGPIPE, SIG_DFL);
  ::signal(SIGUSR2, SIG_DFL);
  ::pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
  ASSERT_TRUE(command.has_value()) << command.error().message;
  EXPECT_EQ(run_to_end(*command), 0);
  std::stringstream text;
  text << std::ifstream(output).rdbuf();
  const auto bits = [&](const std::string& key) {
    const std::size_t at = text.str().find(key) + key.size();
    return std::strtoull(text.str().c_str() + at, nullptr, 16);
  };
  EXPECT_EQ(bits("SigBlk:\t"), 0U);
  EXPECT_EQ(bits("SigIgn:\t"), 1ULL << (SIGUSR2 - 1));
}

TEST_F(LaunchTest, ChildInheritsOnlyTheCallersOwnDescriptors) {
  const auto names_in = [](const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
  };
  std::vector<std::string> inheritable;
  for (const std::string& name : names_in("/proc/self/fd")) {
    const int flags = ::fcntl(std::stoi(name), F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) inheritable.push_back(name);
  }
  auto command = LaunchedCommand::start({"true"});
  ASSERT_TRUE(command.has_value());
  EXPECT_EQ(names_in("/proc/" + std::to_string(command->pid().value) + "/fd"), inheritable);
  EXPECT_EQ(run_to_end(*command), 0);
}

TEST_F(LaunchTest, DroppedCommandIsKilledBeforeItRuns) {
  const std::string output = (folder_ / "ran").string();
  ProcessId pid;
  {
    auto command = LaunchedCommand::start({"touch", output});
    ASSERT_TRUE(command.has_value());
    pid = command->pid();
    LaunchedCommand moved = std::move(*command);
    EXPECT_EQ(command->pid().value, 0);  // NOLINT(bugprone-use-after-move): that is the question
  }
  EXPECT_EQ(::kill(pid.value, 0), -1);
  EXPECT_FALSE(std::filesystem::exists(output));
}

TEST_F(LaunchTest, ReleasedCommandIsNotTraced) {
  auto command = LaunchedCommand::start({"sleep", "60"});
  ASSERT_TRUE(command.has_value());
  const ProcessId pid = command->pid();
  EXPECT_EQ(read_status(pid)->tracer.value, ::gettid());
  ASSERT_TRUE(command->release().has_value());
  EXPECT_EQ(read_status(pid)->tracer.value, 0);
  ::kill(pid.value, SIGTERM);
  EXPECT_EQ(WTERMSIG(wait_for(pid)), SIGTERM);
}

TEST_F(LaunchTest, CommandKilledWhileItWaitsCannotBeReleased) {
  auto command = LaunchedCommand::start({"true"});
  ASSERT_TRUE(command.has_value());
  ::kill(command->pid().value, SIGKILL);
  ::usleep(20'000);
  const auto released = command->release();
  ASSERT_FALSE(released.has_value());
  EXPECT_EQ(released.error().error.code, ErrorCode::target_gone);
}

}  // namespace
}  // namespace trapline::linux_port
