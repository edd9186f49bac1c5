// Everything of a Watchpoint that needs no hit: what it refuses, what it takes, what it gives back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "native_machine.h"
#include "ports/linux/fault/fault_test_support.h"
#include "ports/linux/perf_test_support.h"
#include "trapline/linux/watchpoint.h"

namespace trapline::linux_port {
namespace {

using testing::free_slots_of;
using ::testing::HasSubstr;
using testing::occupy_slots;
using testing::slots_get_free;

constexpr WatchpointOptions kUnproved{.self_test = false};

void ignore(const WatchpointHit&) {}

template <typename T>
std::expected<Watchpoint, Error> watch(T& object, Access access = Access::write) {
  return Watchpoint::create(object, access, ignore, kUnproved);
}

ThreadId self() {
  return ThreadId{::gettid()};
}

std::size_t entries_of(const char* folder) {
  const std::filesystem::directory_iterator all(folder);
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}
std::size_t descriptors() {
  return entries_of("/proc/self/fd");
}
// A sanitizer may have one of its own.
std::size_t threads() {
  return entries_of("/proc/self/task");
}

// A thread that waits until the object goes.
class WaitingThread {
 public:
  WaitingThread() {
    while (tid_ == 0) std::this_thread::yield();
  }
  WaitingThread(const WaitingThread&) = delete;
  WaitingThread& operator=(const WaitingThread&) = delete;
  ~WaitingThread() {
    ends_ = true;
    thread_.join();
  }
  [[nodiscard]] ThreadId tid() const { return ThreadId{tid_}; }

 private:
  std::atomic<pid_t> tid_{0};
  std::atomic<bool> ends_{false};
  std::thread thread_{[this] {
    tid_ = ::gettid();
    while (!ends_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }};
};

TEST(WatchpointCreate, RefusesWhatNoRegisterCanHold) {
  struct Large {
    alignas(8) std::array<char, 40> bytes;
  } large{};
  const auto too_long = watch(large);
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, ErrorCode::range_too_long);
  EXPECT_THAT(advice_on(too_long.error()), HasSubstr("watch one of its members"));

  int word = 0;
  EXPECT_EQ(watch(word, Access::read).error().code, ErrorCode::access_unsupported);
  const Request empty{RemoteAddress::of_local(&word), ByteCount{0}, Access::write};
  EXPECT_EQ(Watchpoint::create(empty, ignore, kUnproved).error().code, ErrorCode::empty_range);
  const Request wraps{RemoteAddress(~std::uint64_t{0} - 3), ByteCount{8}, Access::write};
  EXPECT_EQ(Watchpoint::create(wraps, ignore, kUnproved).error().code, ErrorCode::range_wraps);
  EXPECT_EQ(Watchpoint::create(word, Access::write, nullptr, kUnproved).error().code,
            ErrorCode::wrong_state);
}

TEST(WatchpointCreate, AnAddressOfTheKernelIsRefused) {
  const Request request{RemoteAddress(0xffffffff81000000), ByteCount{8}, Access::write};
  const auto refused = Watchpoint::create(request, ignore, kUnproved);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::bad_length);
  EXPECT_THAT(advice_on(refused.error()), HasSubstr("give an address of this process"));
}

// The advice is for what ran out.
TEST(WatchpointAdvice, OnALimitSaysWhich) {
  const auto advice = [](int os_errno) { return advice_on({ErrorCode::limit_reached, os_errno}); };
  EXPECT_THAT(advice(EMFILE), HasSubstr("ulimit -n"));
  EXPECT_THAT(advice(ENFILE), HasSubstr("fs.file-max"));
  EXPECT_THAT(advice(ENOMEM), HasSubstr("fewer threads"));
  EXPECT_THAT(advice(0), HasSubstr("signal handlers"));
  EXPECT_THAT(advice_on({ErrorCode::wrong_state}), HasSubstr("needs a handler"));
  EXPECT_THAT(advice_on({ErrorCode::misaligned}), HasSubstr("address of this process"));
}

TEST(WatchpointCreate, TakenRegistersOfOneThreadAreAnErrorThatLeavesNothingBehind) {
  const WaitingThread other;
  const auto taken = occupy_slots(other.tid(), 4);
  ASSERT_EQ(taken.size(), 4U);
  const std::size_t before = descriptors();
  int word = 0;
  const auto refused = watch(word);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::no_free_slot);
  EXPECT_THAT(advice_on(refused.error()), HasSubstr("destroy another Watchpoint"));
  EXPECT_EQ(descriptors(), before);
  EXPECT_TRUE(slots_get_free(self(), 4));
}

TEST(WatchpointCreate, TooFewDescriptorsAreAnError) {
  EXPECT_EQ(text_of_status(status_of_child([] {
              const rlimit few{8, 8};
              ::setrlimit(RLIMIT_NOFILE, &few);
              while (::dup(0) >= 0) {
              }
              int word = 0;
              const auto refused = watch(word);
              if (refused) ::_exit(1);
              ::_exit(refused.error() == Error{ErrorCode::limit_reached, EMFILE} ? 0 : 2);
            })),
            "exit 0");
}

// As a container's seccomp filter does.
TEST(WatchpointCreate, WherePerfIsForbiddenTheErrorSaysWhatToDo) {
  EXPECT_EQ(text_of_status(status_of_child([] {
              sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                                    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_perf_event_open, 0, 1),
                                    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                                    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
              const sock_fprog filter{std::size(code), code};
              ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
              if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) ::_exit(3);
              int word = 0;
              const auto refused = watch(word);
              if (refused || refused.error().code != ErrorCode::permission_denied) ::_exit(1);
              const std::string advice = advice_on(refused.error());
              ::_exit(advice.find("--collector ptrace") != std::string::npos ? 0 : 2);
            })),
            "exit 0");
}

TEST(Watchpoint, TakesARegisterInEveryThreadAndGivesItBack) {
  const WaitingThread other;
  const std::size_t before = descriptors();
  const std::size_t watched_threads = threads();
  {
    int word = 0;
    const auto watched = watch(word);
    ASSERT_TRUE(watched) << advice_on(watched.error());
    EXPECT_EQ(free_slots_of(self()), 3U);
    EXPECT_EQ(free_slots_of(other.tid()), 3U);
    const WaitingThread later;
    EXPECT_EQ(free_slots_of(later.tid()), 3U) << "it is not inherited";
    EXPECT_EQ(descriptors(), before + watched_threads);
  }
  EXPECT_EQ(descriptors(), before);
  EXPECT_TRUE(slots_get_free(self(), 4));
  EXPECT_TRUE(slots_get_free(other.tid(), 4));
}

TEST(Watchpoint, MovesWithItsRegisters) {
  int word = 0;
  auto created = watch(word);
  ASSERT_TRUE(created);
  Watchpoint moved = *std::move(created);
  EXPECT_FALSE(*created);  // NOLINT(bugprone-use-after-move): that is what is asked
  EXPECT_TRUE(moved);
  EXPECT_EQ(created->count(), 0U);  // NOLINT(bugprone-use-after-move)
  int other = 0;
  moved = *watch(other);  // the first goes
  EXPECT_TRUE(slots_get_free(self(), 3));
  EXPECT_TRUE(moved);
}

TEST(Watchpoint, ConstructedInPlaceTellsItsError) {
  int word = 0;
  {
    const Watchpoint watched{word, Access::write, ignore, kUnproved};
    EXPECT_TRUE(watched);
    EXPECT_EQ(watched.error(), std::nullopt);
  }
  const Watchpoint refused{word, Access::read, ignore, kUnproved};
  EXPECT_FALSE(refused);
  EXPECT_EQ(refused.error()->code, ErrorCode::access_unsupported);
}

TEST(Watchpoint, AllFourRegistersAreFourWatchpoints) {
  std::array<int, 5> words{};
  std::vector<Watchpoint> all;
  for (std::size_t i = 0; i < 4; ++i) {
    auto watched = watch(words[i]);
    ASSERT_TRUE(watched) << i;
    all.push_back(*std::move(watched));
  }
  EXPECT_EQ(watch(words[4]).error().code, ErrorCode::no_free_slot);
  all.pop_back();
  EXPECT_TRUE(watch(words[4]));
}

// Threads that come and go while watchpoints are created and destroyed: none is left with a
// register.
TEST(Watchpoint, CreatedAmongThreadsThatStartLeavesNothingBehind) {
  std::atomic<bool> ends{false};
  std::thread starter([&] {
    while (!ends) std::thread([] { std::this_thread::yield(); }).join();
  });
  int word = 0;
  for (int round = 0; round < 50; ++round) {
    const auto watched = watch(word);
    ASSERT_TRUE(watched) << advice_on(watched.error());
  }
  ends = true;
  starter.join();
  EXPECT_TRUE(slots_get_free(self(), 4));
}

// Its child has copies of the descriptors: an event is there until the last is closed.
TEST(Watchpoint, AChildOfForkHoldsItsRegistersUntilItDestroysItsCopy) {
  int word = 0;
  auto watched = watch(word);
  ASSERT_TRUE(watched);
  int to_child[2];
  int from_child[2];
  ASSERT_TRUE(::pipe(to_child) == 0 && ::pipe(from_child) == 0);
  char byte = 0;
  const auto destroy = [&] { const Watchpoint gone = *std::move(watched); };
  const pid_t child = ::fork();
  if (child == 0) {
    (void)!::read(to_child[0], &byte, 1);
    destroy();
    (void)!::write(from_child[1], &byte, 1);
    ::pause();
    ::_exit(0);
  }
  destroy();
  EXPECT_EQ(free_slots_of(self()), 3U) << "better than the contract says: mend that";
  EXPECT_EQ(::write(to_child[1], &byte, 1), 1);
  EXPECT_EQ(::read(from_child[0], &byte, 1), 1);
  EXPECT_TRUE(slots_get_free(self(), 4)) << "though the child lives";
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (const int end : {to_child[0], to_child[1], from_child[0], from_child[1]}) ::close(end);
}

TEST(Watchpoint, InAChildOfForkItCanGoAndAnotherBeCreated) {
  int word = 0;
  auto watched = watch(word);
  ASSERT_TRUE(watched);
  EXPECT_EQ(text_of_status(status_of_child([&] {
              if (!slots_get_free(self(), 4)) ::_exit(1);  // it is not watched
              {
                const Watchpoint gone = *std::move(watched);
              }
              const auto own = watch(word);
              ::_exit(own ? 0 : 2);
            })),
            "exit 0");
  EXPECT_EQ(free_slots_of(self()), 3U) << "the child has ended its parent's watch";
}

// Where registers never fire, or a handler cannot end the trap, the error says so; else there is a
// watch. A suite of its own, which runs where the others have no watch to look at.
TEST(WatchpointHardware, IsProvedFirst) {
  int word = 0;
  const auto watched = Watchpoint::create(word, Access::write, ignore);
  if (watched) {
    EXPECT_FALSE(native::kTrapsBeforeAccess) << "it would hang at its first hit";
    return;
  }
  if (native::kTrapsBeforeAccess) {
    EXPECT_EQ(watched.error().code, ErrorCode::not_supported);
    EXPECT_THAT(advice_on(watched.error()), HasSubstr("trapline watch"));
    return;
  }
  EXPECT_EQ(watched.error().code, ErrorCode::no_hardware);
  EXPECT_THAT(advice_on(watched.error()), HasSubstr("never fire"));
}

}  // namespace
}  // namespace trapline::linux_port
