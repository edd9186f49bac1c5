// What the handler of SIGTRAP does with the traps of perf events: without any event.
#include "ports/linux/watchpoint/watch_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "native_machine.h"
#include "ports/linux/fault/fault_test_support.h"
#include "ports/linux/watchpoint/ended_child.h"
#include "ports/linux/watchpoint/simulated_trap.h"
#include "trapline/port/debug_architecture.h"

namespace trapline::linux_port {
namespace {

using ::testing::HasSubstr;
using testing::raise_perf_trap;
using testing::run_child;

WatchDescription description_of(const volatile void* object, std::size_t length,
                                WatchpointHandler handler, Access access = Access::write) {
  const Request request{RemoteAddress::of_local(object), ByteCount{length}, access};
  return {request, make_plan(request, x86_64_debug_architecture()).value(), std::move(handler), 32};
}

// A watch in the table of this process, for as long as the object lives.
class TableWatch {
 public:
  explicit TableWatch(WatchDescription description) : description_(std::move(description)) {
    EXPECT_TRUE(take_traps());
    place_ = watch_table().add(description_).value();
  }
  TableWatch(const TableWatch&) = delete;
  TableWatch& operator=(const TableWatch&) = delete;
  ~TableWatch() { watch_table().remove(place_); }

  [[nodiscard]] std::uint64_t number(std::size_t slot = 0) const {
    return watch_table().number_of(place_, slot);
  }

 private:
  WatchDescription description_;
  WatchTable::Place place_;
};

TEST(WatchTable, TellsOldAndNewValueOfEachHit) {
  std::uint32_t word = 5;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> seen;
  seen.reserve(4);
  const TableWatch watch(description_of(&word, sizeof word, [&](const WatchpointHit& hit) {
    seen.emplace_back(hit.old_as<std::uint32_t>().value_or(999),
                      hit.new_as<std::uint32_t>().value_or(999));
    if (hit.old_as<std::uint64_t>()) seen.clear();  // it is not as large
  }));
  for (const std::uint32_t value : {6U, 6U, 9U}) {
    word = value;
    raise_perf_trap(watch.number());
  }
  EXPECT_EQ(seen, (std::vector<std::pair<std::uint32_t, std::uint32_t>>{{5, 6}, {6, 6}, {6, 9}}));
}

// An object of several slots is told whole, and which part it was.
TEST(WatchTable, PutsAnUnalignedObjectTogetherFromItsSlots) {
  alignas(8) std::array<char, 32> memory{};
  char* const object = memory.data() + 3;
  constexpr std::size_t kLength = 9;
  std::string old_text;
  std::string new_text;
  const void* part = nullptr;
  std::size_t part_length = 0;
  std::memcpy(object, "abcdefghi", kLength);
  const TableWatch watch(description_of(object, kLength, [&](const WatchpointHit& hit) {
    const auto text = [](std::span<const std::byte> bytes) {
      return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    old_text = text(hit.old_bytes);
    new_text = text(hit.new_bytes);
    part = hit.part;
    part_length = hit.part_length;
  }));
  std::memcpy(object, "ABcdefgHI", kLength);
  raise_perf_trap(watch.number(1));
  EXPECT_EQ(old_text, "abcdefghi");
  EXPECT_EQ(new_text, "ABcdefgHI");
  EXPECT_EQ(part, memory.data() + 4);
  EXPECT_EQ(part_length, 4U);
}

TEST(WatchTable, WatchesOfReadsAreReadThroughTheKernel) {
  std::uint64_t word = 3;
  std::uint64_t seen = 0;
  const TableWatch watch(description_of(
      &word, sizeof word,
      [&](const WatchpointHit& hit) { seen = hit.new_as<std::uint64_t>().value_or(0); },
      Access::read_write));
  word = 4;
  raise_perf_trap(watch.number());
  EXPECT_EQ(seen, 4U);
}

// /proc/PID/stat: after the name in brackets, the state.
bool main_thread_has_ended() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t name_ends = text.rfind(')');
  return name_ends != std::string::npos && text.substr(name_ends).starts_with(") Z");
}

TEST(WatchTable, ReadsAreReadThoughTheMainThreadHasEnded) {
  EXPECT_EQ(
      text_of_status(status_of_child([] {
        std::thread([] {
          while (!main_thread_has_ended()) std::this_thread::yield();
          static std::uint64_t word = 3;
          static std::uint64_t seen = 0;
          const TableWatch watch(description_of(
              &word, sizeof word,
              [](const WatchpointHit& hit) { seen = hit.new_as<std::uint64_t>().value_or(0); },
              Access::read_write));
          word = 4;
          raise_perf_trap(watch.number());
          ::_exit(seen == 4 ? 0 : 1);
        }).detach();
        ::syscall(SYS_exit, 0);  // this thread only, and nothing is unwound
      })),
      "exit 0");
}

TEST(WatchTable, AnObjectThatIsGoneHasNoValues) {
  auto* const page = static_cast<std::uint32_t*>(
      ::mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  int hits = 0;
  bool is_known = true;
  const TableWatch watch(description_of(page, sizeof *page, [&](const WatchpointHit& hit) {
    ++hits;
    is_known = !hit.new_bytes.empty() || !hit.old_bytes.empty();
  }));
  ::munmap(page, page_size());
  raise_perf_trap(watch.number());
  EXPECT_EQ(hits, 1);
  EXPECT_FALSE(is_known);
}

// Not what another watch knew of the place it has now, nor zeros.
TEST(WatchTable, WhatCouldNotBeReadIsNotCalledOld) {
  std::uint32_t word = 0xbad;
  {
    const TableWatch earlier(description_of(&word, sizeof word, [](const WatchpointHit&) {}));
  }
  void* const page = ::mmap(nullptr, page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  auto* const object = static_cast<volatile std::uint32_t*>(page);
  std::vector<std::pair<std::uint32_t, std::uint32_t>> seen;
  seen.reserve(4);
  const TableWatch watch(description_of(object, sizeof *object, [&](const WatchpointHit& hit) {
    seen.emplace_back(hit.old_as<std::uint32_t>().value_or(999),
                      hit.new_as<std::uint32_t>().value_or(999));
  }));
  for (const int protection : {PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE, PROT_READ}) {
    ::mprotect(page, page_size(), protection);
    if (protection == (PROT_READ | PROT_WRITE)) *object = 5;
    raise_perf_trap(watch.number());
  }
  EXPECT_EQ(seen, (std::vector<std::pair<std::uint32_t, std::uint32_t>>{
                      {999, 5}, {5, 5}, {999, 999}, {999, 5}}));
  ::munmap(page, page_size());
}

[[gnu::noinline]] void raise_below(int depth, std::uint64_t number) {
  if (depth > 0) {
    raise_below(depth - 1, number);
  } else {
    raise_perf_trap(number);
  }
  __asm__ volatile("" ::: "memory");  // no tail call
}

TEST(WatchTable, GivesTheStackOfTheThread) {
  int word = 0;
  std::vector<std::uintptr_t> callers;
  callers.reserve(64);
  std::uintptr_t ip = 0;
  const TableWatch watch(description_of(&word, sizeof word, [&](const WatchpointHit& hit) {
    callers.assign(hit.callers.begin(), hit.callers.end());
    ip = hit.trap_ip;
    if (hit.code_address() != ip - 1 || hit.context == nullptr) callers.clear();
  }));
  raise_below(10, watch.number());
  EXPECT_NE(ip, 0U);
  // Sanitizers' and the C library's own frames may come first.
  std::size_t same = 0;
  for (std::size_t i = 1; i < callers.size(); ++i) same += callers[i] == callers[i - 1] ? 1U : 0U;
  EXPECT_EQ(same, 9U);
}

TEST(WatchTable, SaysThatATrapIsLate) {
  int word = 0;
  bool is_late = false;
  const TableWatch watch(
      description_of(&word, sizeof word, [&](const WatchpointHit& hit) { is_late = hit.is_late; }));
  raise_perf_trap(watch.number());
  EXPECT_FALSE(is_late);
  raise_perf_trap(watch.number(), true);
  EXPECT_TRUE(is_late);
}

TEST(WatchTable, WhatAHandlerTriggersIsNotTold) {
  int word = 0;
  int other = 0;
  int hits = 0;
  std::uint64_t number = 0;
  std::uint64_t other_number = 0;
  const TableWatch watch(description_of(&word, sizeof word, [&](const WatchpointHit&) {
    ++hits;
    raise_perf_trap(number);
    raise_perf_trap(other_number);
  }));
  const TableWatch another(
      description_of(&other, sizeof other, [&](const WatchpointHit&) { hits += 100; }));
  number = watch.number();
  other_number = another.number();
  raise_perf_trap(number);
  EXPECT_EQ(hits, 1);
  raise_perf_trap(number);  // and it is not deaf afterwards
  EXPECT_EQ(hits, 2);
}

// The access of a handler is not told, but what it wrote is what the next hit calls old: its own
// object's, and that of another watch.
TEST(WatchTable, WhatAHandlerWroteIsOldAtTheNextHit) {
  int word = 7;
  int other = 70;
  std::uint64_t number = 0;
  std::uint64_t other_number = 0;
  const TableWatch watch(description_of(&word, sizeof word, [&](const WatchpointHit& hit) {
    word = hit.old_as<int>().value_or(-1);
    raise_perf_trap(number);
    other = 71;
    raise_perf_trap(other_number);
  }));
  int old_of_other = 0;
  const TableWatch another(description_of(&other, sizeof other, [&](const WatchpointHit& hit) {
    old_of_other = hit.old_as<int>().value_or(-1);
  }));
  number = watch.number();
  other_number = another.number();
  for (const int stray : {8, 9, 10}) {
    word = stray;
    raise_perf_trap(number);
    EXPECT_EQ(word, 7) << "after " << stray;
  }
  other = 72;
  raise_perf_trap(other_number);
  EXPECT_EQ(old_of_other, 71);
}

TEST(WatchTable, TheHandlerMayUseGuardedAccessAndErrnoStays) {
  int word = 0;
  bool survived = false;
  const TableWatch watch(description_of(&word, sizeof word, [&](const WatchpointHit&) {
    survived = !fault::try_load(reinterpret_cast<int*>(std::uintptr_t{8}));
    errno = EDOM;
  }));
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGSEGV);
  ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  errno = 0;
  raise_perf_trap(watch.number());
  EXPECT_EQ(errno, 0);
  EXPECT_TRUE(survived);
  sigset_t now;
  ::pthread_sigmask(SIG_UNBLOCK, &blocked, &now);
  EXPECT_EQ(::sigismember(&now, SIGSEGV), 1);  // as before
  EXPECT_EQ(::sigismember(&now, SIGTRAP), 0);
}

// A trap that was pending while its watch was removed, and another took its place.
TEST(WatchTable, ATrapOfAWatchThatIsGoneIsSwallowed) {
  int word = 0;
  int hits = 0;
  const auto count = [&](const WatchpointHit&) { ++hits; };
  std::uint64_t old_number = 0;
  {
    const TableWatch watch(description_of(&word, sizeof word, count));
    old_number = watch.number();
  }
  raise_perf_trap(old_number);
  const TableWatch next(description_of(&word, sizeof word, count));
  EXPECT_NE(next.number(), old_number);
  raise_perf_trap(old_number);
  EXPECT_EQ(hits, 0);
  raise_perf_trap(next.number());
  EXPECT_EQ(hits, 1);
}

TEST(WatchTable, IsFullWithAsManyWatchesAsThereCanBeRegisters) {
  int word = 0;
  const auto watch = description_of(&word, sizeof word, [](const WatchpointHit&) {});
  WatchTable table;
  for (std::size_t i = 0; i < WatchTable::kPlaces; ++i) EXPECT_TRUE(table.add(watch).has_value());
  EXPECT_FALSE(table.add(watch).has_value());
  table.remove(7);
  EXPECT_EQ(table.add(watch), 7U);
}

// The order of removal: once it is done no handler runs or will, whatever traps are still to come.
// What a handler refers to is made invalid right then; a handler that ran on would see it.
TEST(WatchTable, NoHandlerRunsAfterRemovalWhileThreadsKeepHitting) {
  constexpr int kRounds = 1000;
  std::atomic<std::uint64_t> number{0};
  std::atomic<bool> ends{false};
  std::atomic<std::uint64_t> told{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (number == 0) std::this_thread::yield();
      while (!ends) raise_perf_trap(number);
    });
  }
  int word = 0;
  for (int round = 0; round < kRounds; ++round) {
    auto is_valid = std::make_unique<std::atomic<bool>>(true);
    {
      const TableWatch watch(
          description_of(&word, sizeof word, [&, valid = is_valid.get()](const WatchpointHit&) {
            if (!*valid) ++wrong;
            ++told;
          }));
      number = watch.number();
      const std::uint64_t before = told;
      // Some rounds wait for a hit, so that removals meet handlers that run.
      while (round % 4 == 0 && told == before) std::this_thread::yield();
    }
    *is_valid = false;
  }
  ends = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GE(told, kRounds / 4U);
}

std::string outcome(void (*body)()) {
  return text_of_status(status_of_child([&] {
    std::signal(SIGTRAP, SIG_DFL);
    body();
  }));
}
const std::string kTrap = "signal " + std::to_string(SIGTRAP);
const std::string kAborted = "signal " + std::to_string(SIGABRT);
constexpr std::uint64_t kNotOurs = 0x1234;

// --- in a child of fork; one that waits for ever is ended by SIGALRM ---

constexpr unsigned kPatienceSeconds = 10;

TEST(WatchTableAfterFork, ThreadsThatWereInAHandlerAreNotWaitedFor) {
  int word = 0;
  std::atomic<bool> is_in_handler{false};
  std::atomic<bool> ends{false};
  WatchTable& table = watch_table();
  const auto description = description_of(&word, sizeof word, [&](const WatchpointHit&) {
    is_in_handler = true;
    while (!ends) std::this_thread::yield();
  });
  ASSERT_TRUE(take_traps());
  const WatchTable::Place place = table.add(description).value();
  std::thread hitting([&] { raise_perf_trap(table.number_of(place, 0)); });
  while (!is_in_handler) std::this_thread::yield();
  EXPECT_EQ(text_of_status(status_of_child([&] {
              ::alarm(kPatienceSeconds);
              table.remove(place);
            })),
            "exit 0");
  ends = true;
  hitting.join();
  table.remove(place);
}

// The child destroys its copy right there, and goes on.
TEST(WatchTableAfterFork, TheHandlerThatForkedIsNotCountedTwice) {
  EXPECT_EQ(outcome([] {
              static int word = 0;
              static WatchTable::Place place;
              static WatchTable& table = watch_table();
              ::alarm(kPatienceSeconds);
              (void)take_traps();
              static const auto forks =
                  description_of(&word, sizeof word, [](const WatchpointHit&) {
                    const pid_t child = ::fork();
                    if (child == 0) return table.remove_after_fork(place);
                    int status = -1;
                    ::waitpid(child, &status, 0);
                    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status));
                  });
              place = table.add(forks).value();
              raise_perf_trap(table.number_of(place, 0));
              // In the child of the handler.
              ::alarm(kPatienceSeconds);
              static int hits = 0;
              const auto counts =
                  description_of(&word, sizeof word, [](const WatchpointHit&) { ++hits; });
              if (table.add(counts) != place) ::_exit(1);
              raise_perf_trap(table.number_of(place, 0));
              table.remove(place);
              ::_exit(hits == 1 ? 0 : 2);
            }),
            "exit 0");
}

// --- traps that are not ours, each in a child, since it may end ---

TEST(ForeignTrap, GoesToTheDispositionThatWasThere) {
  EXPECT_EQ(outcome([] {
              (void)take_traps();
              raise_perf_trap(kNotOurs);
            }),
            kTrap);
  EXPECT_EQ(outcome([] {
              (void)take_traps();
              ::raise(SIGTRAP);
            }),
            kTrap);
  EXPECT_EQ(outcome([] {
              (void)take_traps();
              native::break_here();
            }),
            kTrap);
  EXPECT_EQ(outcome([] {
              std::signal(SIGTRAP, SIG_IGN);
              (void)take_traps();
              ::raise(SIGTRAP);
              raise_perf_trap(kNotOurs);
            }),
            "exit 0");
  EXPECT_EQ(outcome([] {
              std::signal(SIGTRAP, SIG_IGN);
              (void)take_traps();
              native::break_here();
            }),
            kTrap);
}

TEST(ForeignTrap, GoesToTheHandlerThatWasThere) {
  EXPECT_EQ(outcome([] {
              std::signal(SIGTRAP, [](int) { ::_exit(40); });
              (void)take_traps();
              raise_perf_trap(kNotOurs);
            }),
            "exit 40");
  EXPECT_EQ(outcome([] {
              std::signal(SIGTRAP, [](int) { ::_exit(41); });
              (void)take_traps();
              native::break_here();
            }),
            "exit 41");
}

// Handed on, or asked by handle_guarded_fault: a hit comes to its watch, and to it only.
struct sigaction handed_on_to;
void hand_on(int signal, siginfo_t* info, void* context) {
  handed_on_to.sa_sigaction(signal, info, context);
}
bool later_handler_hands_on(bool by_asking) {
  static int hits = 0;
  static int word = 0;
  static std::atomic<int> kept{0};
  struct sigaction later{};
  later.sa_flags = SA_SIGINFO;
  if (by_asking) {
    later.sa_sigaction = [](int signal, siginfo_t* info, void* context) {
      if (!fault::handle_guarded_fault(signal, info, context)) ++kept;
    };
  } else {
    later.sa_sigaction = hand_on;
  }
  const TableWatch watch(description_of(&word, sizeof word, [&](const WatchpointHit&) { ++hits; }));
  ::sigaction(SIGTRAP, &later, &handed_on_to);
  raise_perf_trap(watch.number());
  if (by_asking) raise_perf_trap(kNotOurs);
  return hits == 1 && kept == (by_asking ? 1 : 0);
}

TEST(LaterTrapHandler, HandsOnOrAsks) {
  EXPECT_EQ(outcome([] { ::_exit(later_handler_hands_on(false) ? 0 : 1); }), "exit 0");
  EXPECT_EQ(outcome([] { ::_exit(later_handler_hands_on(true) ? 0 : 1); }), "exit 0");
}

// As a program's own handler may be, and as that of a sanitizer is: every signal is blocked in it,
// and in a hit within a hit again. Guarded loads work in both.
TEST(LaterTrapHandler, MayBlockAllSignals) {
  EXPECT_EQ(outcome([] {
              static std::uint64_t number = 0;
              static int hits = 0;
              const Cliff gone(Defect::no_access);
              const TableWatch watch(description_of(gone.edge(), 4, [](const WatchpointHit&) {
                ++hits;
                raise_perf_trap(number);
              }));
              number = watch.number();
              struct sigaction later{};
              later.sa_flags = SA_SIGINFO | SA_NODEFER;
              ::sigfillset(&later.sa_mask);
              later.sa_sigaction = hand_on;
              ::sigaction(SIGTRAP, &later, &handed_on_to);
              raise_perf_trap(number);
              ::_exit(hits == 1 ? 0 : 1);
            }),
            "exit 0");
}

// Its own, or another: two handlers might each wait for the other.
TEST(WatchTable, DestroyingAWatchInAHandlerEndsTheProcessWithAMessage) {
  static int word = 0;
  static std::unique_ptr<TableWatch> watch;
  static std::unique_ptr<TableWatch> another;
  for (auto* const destroyed : {&watch, &another}) {
    const auto ended = run_child([&] {
      another = std::make_unique<TableWatch>(
          description_of(&word, sizeof word, [](const WatchpointHit&) {}));
      watch = std::make_unique<TableWatch>(
          description_of(&word, sizeof word, [&](const WatchpointHit&) { destroyed->reset(); }));
      raise_perf_trap(watch->number());
    });
    EXPECT_EQ(ended.status, kAborted);
    EXPECT_THAT(ended.said, HasSubstr("was destroyed inside the handler of a watch"));
    EXPECT_THAT(ended.said, HasSubstr("Set a flag"));
  }
}

// Called through a pointer, or the compiler, who sees a system call that does not throw, would
// leave out the catch.
void (*volatile const raise_somewhere)(std::uint64_t, bool) = raise_perf_trap;

TEST(WatchTable, AnExceptionOfAHandlerEndsTheProcessWhoeverWouldCatchIt) {
  const auto ended = run_child([] {
    static int word = 0;
    const TableWatch watch(description_of(&word, sizeof word, [](const WatchpointHit&) {
      throw std::runtime_error("thrown by a handler");
    }));
    try {
      raise_somewhere(watch.number(), false);
    } catch (...) {
      ::_exit(1);
    }
  });
  EXPECT_EQ(ended.status, kAborted);
  EXPECT_THAT(ended.said, HasSubstr("thrown by a handler"));
}

// A stack for signals right above a page that cannot be written: too small would be a crash. It
// tells how much of it was used.
class AlternateStack {
 public:
  explicit AlternateStack(std::size_t bytes) : bytes_(bytes) {
    const std::size_t length = (bytes / page_size() + 2) * page_size();
    auto* const memory = static_cast<std::byte*>(
        ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ::mprotect(memory, page_size(), PROT_NONE);
    begin_ = memory + page_size();
    std::fill_n(begin_, bytes, kUnused);
    const stack_t stack{begin_, 0, bytes};
    ::sigaltstack(&stack, nullptr);
  }
  [[nodiscard]] std::size_t used() const {
    const auto* const end = begin_ + bytes_;
    const auto* const deepest =
        std::find_if(begin_, begin_ + bytes_, [](std::byte byte) { return byte != kUnused; });
    return static_cast<std::size_t>(end - deepest);
  }

 private:
  static constexpr std::byte kUnused{0xa5};
  std::size_t bytes_;
  std::byte* begin_;
};

// The most there can be: the object is gone, and so is another that its handler accesses. Three
// frames of the kernel; beside each there is room for a handler of faults in any build.
TEST(AlternateStack, OfTheSizeThatIsToldIsEnoughForAFaultInAHitInAHandler) {
  EXPECT_EQ(outcome([] {
              const Cliff gone(Defect::no_access);
              static std::uint64_t number = 0;
              static int hits = 0;
              const TableWatch other(
                  description_of(gone.edge(), 4, [](const WatchpointHit&) { hits = 100; }));
              const TableWatch watch(description_of(gone.edge(), 4, [](const WatchpointHit&) {
                ++hits;
                raise_perf_trap(number);
              }));
              number = other.number();
              const std::size_t bytes = watchpoint_stack_bytes();
              const AlternateStack stack(bytes);
              for (int i = 0; i < 10; ++i) raise_perf_trap(watch.number());
              if (hits != 10) ::_exit(1);
              if (stack.used() < 3 * ::getauxval(AT_MINSIGSTKSZ)) ::_exit(2);
              ::_exit(bytes >= 3 * fault::fault_stack_bytes() ? 0 : 3);
            }),
            "exit 0");
}

}  // namespace
}  // namespace trapline::linux_port
