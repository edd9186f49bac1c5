// Takes CPU 1 of this machine down and up.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ports/linux/cpu_changes.h"
#include "ports/linux/file_descriptor.h"
#include "ports/linux/monotonic_clock.h"
#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {

void PrintTo(const CpuChange& change, std::ostream* out) {
  *out << "cpu " << change.cpu.value
       << (change.kind == CpuChange::Kind::came_online ? " online" : " offline")
       << (change.inferred ? " inferred" : "");
}

namespace {

using Kind = CpuChange::Kind;
using Events = CpuChangeSource::Events;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;

constexpr CpuId kCpu{1};

auto change(Kind kind, bool inferred) {
  return testing::AllOf(Field("cpu", &CpuChange::cpu, kCpu), Field("kind", &CpuChange::kind, kind),
                        Field("inferred", &CpuChange::inferred, inferred));
}

// Brings the CPU back however this process ends, by another that sees the pipe close. That one is
// an orphan in a session of its own, so that what kills this process and its children spares it.
class BroughtBack {
 public:
  BroughtBack() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return;
    const FileDescriptor read_end(ends[0]);
    FileDescriptor write_end(ends[1]);
    const pid_t child = ::fork();
    if (child == 0) {
      if (::fork() == 0) wait_and_bring_back(read_end.get(), std::move(write_end));
      ::_exit(0);
    }
    int status = 1;
    if (child > 0) ::waitpid(child, &status, 0);
    if (status == 0) write_end_ = std::move(write_end);
  }
  ~BroughtBack() {
    if (!CpuFiles().set_online(kCpu, true)) return;
    const char done = 0;
    static_cast<void>(::write(write_end_.get(), &done, sizeof done));
  }
  BroughtBack(const BroughtBack&) = delete;
  BroughtBack& operator=(const BroughtBack&) = delete;

  [[nodiscard]] bool is_certain() const { return write_end_.is_open(); }

 private:
  [[noreturn]] static void wait_and_bring_back(int read_end, FileDescriptor write_end) {
    write_end.reset();
    ::setsid();
    // Not the test's output: who reads that would wait for this process.
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(stream);
    char byte = 0;
    ssize_t count = 0;
    do {
      count = ::read(read_end, &byte, sizeof byte);
    } while (count < 0 && errno == EINTR);
    // A byte: it is done. Doing it again would disturb the next test.
    if (count == 0) static_cast<void>(CpuFiles().set_online(kCpu, true));
    ::_exit(0);
  }

  FileDescriptor write_end_;
};

class CpuChangesSystemTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can take a CPU down";
    if (::access("/sys/devices/system/cpu/cpu1/online", W_OK) != 0)
      GTEST_SKIP() << "CPU 1 is missing or cannot be taken down here";
    if (!files_.online()->contains(kCpu)) GTEST_SKIP() << "CPU 1 is offline, and left as it is";
    guard_.emplace();
    ASSERT_TRUE(guard_->is_certain());
    const auto down = files_.set_online(kCpu, false);
    if (!down && down.error().os_errno == EBUSY) GTEST_SKIP() << "the kernel keeps CPU 1 online";
    ASSERT_TRUE(down.has_value()) << down.error().os_errno;
    switch_to(true);
  }

  CpuChangeSource open(Events events) {
    auto source = CpuChangeSource::open(files_, events);
    EXPECT_TRUE(source.has_value());
    return *std::move(source);
  }
  void switch_to(bool online) {
    const auto switched = files_.set_online(kCpu, online);
    ASSERT_TRUE(switched.has_value()) << switched.error().os_errno;
  }
  void flap() {
    switch_to(false);
    switch_to(true);
  }
  static std::vector<CpuChange> collect(CpuChangeSource& source, bool reconcile_now = false) {
    std::vector<CpuChange> changes;
    EXPECT_TRUE(source.collect(changes, reconcile_now).has_value());
    return changes;
  }
  std::optional<BroughtBack> guard_;
  CpuFiles files_;
};

class CpuUeventsSystemTest : public CpuChangesSystemTest {
 protected:
  void SetUp() override {
    CpuChangesSystemTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    std::istringstream map(read_file("/proc/self/uid_map").value_or(""));
    std::uint32_t inside = 1;
    std::uint32_t outside = 1;
    map >> inside >> outside;
    if (inside != outside) GTEST_SKIP() << "no uevents arrive in a user namespace";
  }

  static bool is_readable(const CpuChangeSource& source) {
    pollfd wait{source.descriptor().value_or(-1), POLLIN, 0};
    return ::poll(&wait, 1, 0) == 1;
  }
};

TEST_F(CpuChangesSystemTest, SwitchingIntoTheStateItHasSucceeds) {
  EXPECT_TRUE(files_.set_online(kCpu, true).has_value());
  switch_to(false);
  EXPECT_TRUE(files_.set_online(kCpu, false).has_value());
  EXPECT_FALSE(files_.online()->contains(kCpu));
  switch_to(true);
  EXPECT_TRUE(files_.online()->contains(kCpu));
}

TEST_F(CpuChangesSystemTest, TheGenerationEndsWithTheLife) {
  const auto first = files_.generation(kCpu);
  if (!first) GTEST_SKIP() << "CPUs have no folder topology here";
  switch_to(false);
  EXPECT_EQ(files_.generation(kCpu), std::nullopt);
  switch_to(true);
  const auto second = files_.generation(kCpu);
  ASSERT_TRUE(second.has_value());
  EXPECT_NE(second, first);
}

TEST_F(CpuChangesSystemTest, ALookFindsAFlapByItsGeneration) {
  if (!files_.generation(kCpu)) GTEST_SKIP() << "CPUs have no folder topology here";
  CpuChangeSource source = open(Events::ignore);
  flap();
  EXPECT_THAT(collect(source), IsEmpty()) << "nobody asked to look";
  const Nanoseconds before = monotonic_now();
  const auto changes = collect(source, true);
  ASSERT_THAT(changes,
              ElementsAre(change(Kind::went_offline, true), change(Kind::came_online, true)));
  EXPECT_GE(changes[1].time, before);
  ASSERT_TRUE(changes[1].earliest.has_value());
  EXPECT_LT(*changes[1].earliest, before);
  EXPECT_THAT(collect(source, true), IsEmpty());
}

TEST_F(CpuChangesSystemTest, LooksFindEachChange) {
  CpuChangeSource source = open(Events::ignore);
  EXPECT_TRUE(source.online().contains(kCpu));
  switch_to(false);
  EXPECT_THAT(collect(source, true), ElementsAre(change(Kind::went_offline, true)));
  EXPECT_FALSE(source.online().contains(kCpu));
  const Nanoseconds before = monotonic_now();
  EXPECT_THAT(collect(source, true), IsEmpty());
  switch_to(true);
  const auto changes = collect(source, true);
  ASSERT_THAT(changes, ElementsAre(change(Kind::came_online, true)));
  EXPECT_GE(changes[0].earliest, before);
  EXPECT_TRUE(source.online().contains(kCpu));
}

TEST_F(CpuUeventsSystemTest, EachChangeWakesTheReaderAndIsToldOnce) {
  CpuChangeSource source = open(Events::listen);
  EXPECT_FALSE(is_readable(source));
  switch_to(false);
  EXPECT_TRUE(is_readable(source));
  EXPECT_THAT(collect(source), ElementsAre(change(Kind::went_offline, false)));
  const Nanoseconds before = monotonic_now();
  switch_to(true);
  const Nanoseconds after = monotonic_now();
  const auto changes = collect(source);
  ASSERT_THAT(changes, ElementsAre(change(Kind::came_online, false)));
  EXPECT_LE(changes[0].earliest, before);
  EXPECT_GE(changes[0].time, after);
  EXPECT_THAT(collect(source, true), IsEmpty());
}

TEST_F(CpuUeventsSystemTest, AFlapReadAtOnceIsBothChanges) {
  CpuChangeSource source = open(Events::listen);
  flap();
  EXPECT_THAT(collect(source),
              ElementsAre(change(Kind::went_offline, false), change(Kind::came_online, false)));
  EXPECT_THAT(collect(source, true), IsEmpty());
}

TEST_F(CpuUeventsSystemTest, FlapsAreCountedWhileTheyHappen) {
  constexpr std::size_t kFlaps = 50;
  CpuChangeSource source = open(Events::listen);
  std::vector<CpuChange> changes;
  std::jthread switching([this] {
    for (std::size_t i = 0; i < kFlaps; ++i) flap();
  });
  const auto count = [&](Kind kind) {
    return static_cast<std::size_t>(std::ranges::count(changes, kind, &CpuChange::kind));
  };
  const Nanoseconds limit{monotonic_now().value + 30'000'000'000};
  while (count(Kind::came_online) < kFlaps && monotonic_now() < limit)
    EXPECT_TRUE(source.collect(changes, true).has_value());
  switching.join();
  EXPECT_TRUE(source.collect(changes, true).has_value());
  EXPECT_EQ(count(Kind::went_offline), kFlaps);
  EXPECT_EQ(count(Kind::came_online), kFlaps);
  for (std::size_t i = 0; i < changes.size(); ++i)
    EXPECT_EQ(changes[i].kind, i % 2 == 0 ? Kind::went_offline : Kind::came_online) << i;
}

TEST_F(CpuUeventsSystemTest, AFlapWhoseEventsDidNotFitIsFound) {
  if (!files_.generation(kCpu)) GTEST_SKIP() << "CPUs have no folder topology here";
  CpuChangeSource source = open(Events::listen);
  const int smallest = 1;
  ASSERT_EQ(::setsockopt(*source.descriptor(), SOL_SOCKET, SO_RCVBUF, &smallest, sizeof smallest),
            0);
  for (int i = 0; i < 5; ++i) flap();
  const auto changes = collect(source);
  ASSERT_GE(changes.size(), 2U);
  EXPECT_TRUE(changes.back().inferred) << "all events arrived: this tests nothing";
  EXPECT_EQ(changes.back().kind, Kind::came_online);
  // The socket works on.
  flap();
  EXPECT_EQ(collect(source).size(), 2U);
  EXPECT_THAT(collect(source, true), IsEmpty());
}

TEST_F(CpuUeventsSystemTest, WhatSomebodyWritesToTheFileIsNoChange) {
  CpuChangeSource source = open(Events::listen);
  const FileDescriptor file(::open("/sys/devices/system/cpu/cpu1/uevent", O_WRONLY | O_CLOEXEC));
  const std::string action = "offline";
  if (::write(file.get(), action.data(), action.size()) < 0)
    GTEST_SKIP() << "this kernel makes no events up, errno " << errno;
  EXPECT_TRUE(is_readable(source));
  EXPECT_THAT(collect(source), IsEmpty());
}

TEST_F(CpuUeventsSystemTest, AProcessIsNotTheKernel) {
  CpuChangeSource source = open(Events::listen);
  sockaddr_nl listener{};
  socklen_t size = sizeof listener;
  ASSERT_EQ(::getsockname(*source.descriptor(), reinterpret_cast<sockaddr*>(&listener), &size), 0);
  listener.nl_groups = 0;
  using namespace std::string_literals;
  const std::string message =
      "offline@/devices/system/cpu/cpu1\0ACTION=offline\0DEVPATH=/devices/system/cpu/cpu1\0"
      "SUBSYSTEM=cpu\0SEQNUM=18446744073709551615\0"s;
  ASSERT_TRUE(parse_cpu_uevent(message).has_value());
  const FileDescriptor liar(
      ::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
  ASSERT_EQ(::sendto(liar.get(), message.data(), message.size(), 0,
                     reinterpret_cast<const sockaddr*>(&listener), sizeof listener),
            static_cast<ssize_t>(message.size()))
      << errno;
  EXPECT_TRUE(is_readable(source));
  EXPECT_THAT(collect(source), IsEmpty());
}

}  // namespace
}  // namespace trapline::linux_port
