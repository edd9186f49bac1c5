// What happens to signals that are not a guarded access's: each in a child of its own, since it may
// end.
#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <atomic>
#include <chrono>
#include <csetjmp>
#include <csignal>
#include <cstring>
#include <thread>
#include <vector>

#include "ports/linux/fault/fault_signals.h"
#include "ports/linux/fault/fault_test_support.h"
#include "test_instructions.h"
#include "trapline/linux/guarded_access.h"

namespace trapline::linux_port {
namespace {

using fault::try_load;

// Exit codes of children in which something was not as expected, or not to be had.
constexpr int kWrong = 3;
constexpr int kNoPtrace = 4;

int* bad_pointer() {
  return reinterpret_cast<int*>(std::uintptr_t{0x10});
}

[[gnu::noinline]] void real_bug() {
  __asm__ volatile(TEST_REAL_BUG : : "r"(bad_pointer()) : "memory", TEST_REAL_BUG_CLOBBER);
}

bool guarded_access_works() {
  const auto loaded = try_load(bad_pointer());
  return !loaded && loaded.error().kind == fault::FaultKind::unmapped;
}

void require(bool condition) {
  if (!condition) ::_exit(kWrong);
}

void install() {
  require(fault::install_fault_handler().has_value());
}

struct sigaction action_with(void (*handler)(int), int flags = 0) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = flags;
  return action;
}
struct sigaction action_with(void (*handler)(int, siginfo_t*, void*), int flags = 0) {
  struct sigaction action{};
  action.sa_sigaction = handler;
  action.sa_flags = flags | SA_SIGINFO;
  return action;
}
void set(int signal, const struct sigaction& action) {
  require(::sigaction(signal, &action, nullptr) == 0);
}

// Sanitizers have handlers of their own; tests that need none start here.
void start_by_default() {
  for (const int signal : kFaultSignals) set(signal, action_with(SIG_DFL));
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
}

std::string outcome(void (*body)()) {
  return text_of_status(status_of_child([&] {
    start_by_default();
    body();
  }));
}

const std::string kSegv = "signal " + std::to_string(SIGSEGV);

// Handlers of children report here.
volatile std::sig_atomic_t calls = 0;
sigset_t mask_seen;
const void* stack_seen = nullptr;

TEST(UnguardedFault, EndsTheProcessByItsOwnSignal) {
  EXPECT_EQ(outcome([] {
              install();
              real_bug();
            }),
            kSegv);
  EXPECT_EQ(outcome([] {
              install();
              const Cliff cliff(Defect::truncated);
              *static_cast<volatile std::uint8_t*>(cliff.edge()) = 1;
            }),
            "signal " + std::to_string(SIGBUS));
  EXPECT_EQ(outcome([] {
              install();
              __asm__ volatile(TEST_UNDEFINED_INSTRUCTION);
            }),
            "signal " + std::to_string(SIGILL));
  EXPECT_EQ(outcome([] {
              install();
              __asm__ volatile(TEST_BREAKPOINT_INSTRUCTION);
            }),
            "signal " + std::to_string(SIGTRAP));
}

TEST(UnguardedFault, IsNotSwallowedAfterGuardedOnes) {
  EXPECT_EQ(outcome([] {
              install();
              for (int i = 0; i < 100; ++i) require(guarded_access_works());
              real_bug();
            }),
            kSegv);
}

// What a debugger and the core would see: twice the same signal, at the same instruction, with the
// same siginfo; the second one kills.
TEST(UnguardedFault, IsSeenAtItsInstructionWithItsSiginfo) {
  const pid_t child = ::fork();
  if (child == 0) {
    start_by_default();
    install();
    require(guarded_access_works());  // without a tracer yet
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(kNoPtrace);
    real_bug();
    ::_exit(kWrong);
  }
  std::uintptr_t places[2] = {};
  siginfo_t infos[2] = {};
  int status = 0;
  for (int stop = 0; stop < 2; ++stop) {
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == kNoPtrace) {
      GTEST_SKIP() << "there is no ptrace here, as in an emulator's user mode";
    }
    ASSERT_TRUE(WIFSTOPPED(status)) << text_of_status(status);
    ASSERT_EQ(WSTOPSIG(status), SIGSEGV);
    ASSERT_EQ(::ptrace(PTRACE_GETSIGINFO, child, nullptr, &infos[stop]), 0);
    places[stop] = program_counter(child);
    ASSERT_EQ(::ptrace(PTRACE_CONT, child, nullptr, SIGSEGV), 0);
  }
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(text_of_status(status), kSegv);
  EXPECT_EQ(places[0], places[1]);
  EXPECT_EQ(infos[0].si_code, infos[1].si_code);
  EXPECT_EQ(infos[0].si_addr, infos[1].si_addr);
  EXPECT_EQ(infos[0].si_addr, bad_pointer());
}

TEST(SentSignal, EndsTheProcessThoughNothingFaulted) {
  EXPECT_EQ(outcome([] {
              install();
              ::raise(SIGSEGV);
            }),
            kSegv);
  EXPECT_EQ(outcome([] {
              install();
              ::kill(::getpid(), SIGBUS);
              ::pause();
            }),
            "signal " + std::to_string(SIGBUS));
}

// Sent to a thread that does nothing but guarded accesses, it meets their instructions again and
// again.
TEST(SentSignal, IsNeverTakenForAGuardedAccess) {
  constexpr int kSignals = 200;
  struct sigaction before{};
  // Looked at from another thread than the handler's.
  static std::atomic<int> received;
  received = 0;
  const auto counting = action_with([](int) { ++received; });
  ASSERT_EQ(::sigaction(SIGSEGV, &counting, &before), 0);
  ASSERT_TRUE(fault::install_fault_handler());
  std::atomic<pid_t> id{0};
  std::atomic<bool> ends{false};
  std::atomic<bool> works{true};
  std::thread worker([&] {
    id = ::gettid();
    while (!ends) {
      if (!guarded_access_works()) works = false;
    }
  });
  while (id == 0) std::this_thread::yield();
  int sent = 0;
  while (received < kSignals && sent < 20 * kSignals) {
    const int before_it = received;
    ASSERT_EQ(::syscall(SYS_tgkill, ::getpid(), id.load(), SIGSEGV), 0);
    ++sent;
    const auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
    while (received == before_it && std::chrono::steady_clock::now() < limit) {
      std::this_thread::yield();
    }
  }
  ends = true;
  worker.join();
  EXPECT_GE(received, kSignals) << sent << " were sent";
  EXPECT_TRUE(works);
  ASSERT_EQ(::sigaction(SIGSEGV, &before, nullptr), 0);
}

TEST(SentSignal, IsIgnoredWhereItWasIgnored) {
  EXPECT_EQ(outcome([] {
              set(SIGSEGV, action_with(SIG_IGN));
              install();
              ::raise(SIGSEGV);
              require(guarded_access_works());
              ::raise(SIGSEGV);
            }),
            "exit 0");
}

TEST(UnguardedFault, CannotBeIgnored) {
  EXPECT_EQ(outcome([] {
              set(SIGSEGV, action_with(SIG_IGN));
              install();
              real_bug();
            }),
            kSegv);
}

TEST(EarlierHandler, GetsWhatIsNotGuardedAndNothingElse) {
  EXPECT_EQ(outcome([] {
              set(SIGSEGV,
                  action_with([](int signal) { ::_exit(signal == SIGSEGV ? 40 : kWrong); }));
              install();
              require(guarded_access_works());
              real_bug();
            }),
            "exit 40");
}

TEST(EarlierHandler, GetsSiginfoAndContextAsTheKernelGaveThem) {
  EXPECT_EQ(outcome([] {
              set(SIGSEGV, action_with([](int, siginfo_t* info, void* context) {
                    const SignalContext registers(SIGSEGV, *static_cast<ucontext_t*>(context));
                    require(info->si_addr == bad_pointer() && info->si_code == SEGV_MAPERR);
                    require(registers.faulting_instruction() != 0);
                    ::_exit(41);
                  }));
              install();
              real_bug();
            }),
            "exit 41");
}

// Whether the handler, sent a signal, runs with these signals blocked.
void record_mask(int) {
  ::sigprocmask(SIG_BLOCK, nullptr, &mask_seen);
}
void raise_with_usr1_blocked(int flags) {
  auto action = action_with(record_mask, flags);
  ::sigaddset(&action.sa_mask, SIGUSR2);
  set(SIGSEGV, action);
  install();
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR1);
  ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
  ::raise(SIGSEGV);
  require(::sigismember(&mask_seen, SIGUSR1) == 1);  // the program's own
  require(::sigismember(&mask_seen, SIGUSR2) == 1);  // the handler's
  require(::sigismember(&mask_seen, SIGHUP) == 0);
  // Restored afterwards.
  ::sigprocmask(SIG_BLOCK, nullptr, &blocked);
  require(::sigismember(&blocked, SIGUSR1) == 1);
  require(::sigismember(&blocked, SIGUSR2) == 0);
  require(::sigismember(&blocked, SIGSEGV) == 0);
}

TEST(EarlierHandler, RunsWithTheMaskItAskedFor) {
  EXPECT_EQ(outcome([] {
              raise_with_usr1_blocked(0);
              require(::sigismember(&mask_seen, SIGSEGV) == 1);
            }),
            "exit 0");
}

TEST(EarlierHandler, NoDeferLeavesTheSignalItself) {
  EXPECT_EQ(outcome([] {
              raise_with_usr1_blocked(SA_NODEFER);
              require(::sigismember(&mask_seen, SIGSEGV) == 0);
            }),
            "exit 0");
}

// A guarded access in a handler that allows its own signal.
TEST(EarlierHandler, MayUseGuardedAccessIfItsSignalIsNotBlocked) {
  EXPECT_EQ(outcome([] {
              set(SIGSEGV, action_with([](int) { ::_exit(guarded_access_works() ? 42 : kWrong); },
                                       SA_NODEFER));
              install();
              real_bug();
            }),
            "exit 42");
}

TEST(EarlierHandler, ResetHandIsUsedUpByTheFirstSignal) {
  EXPECT_EQ(outcome([] {
              calls = 0;
              set(SIGSEGV,
                  action_with([](int) { calls = calls + 1; }, static_cast<int>(SA_RESETHAND)));
              install();
              require(guarded_access_works());  // uses nothing up
              ::raise(SIGSEGV);
              require(calls == 1);
              require(guarded_access_works());
              ::raise(SIGSEGV);
              ::_exit(kWrong);
            }),
            kSegv);
}

bool is_on(const void* address, const std::vector<char>& stack) {
  return address >= stack.data() && address < stack.data() + stack.size();
}
void record_stack(int) {
  stack_seen = __builtin_frame_address(0);
}
void raise_with_an_alternate_stack(int flags, bool expected_on_it) {
  static std::vector<char> memory(256 * 1024);
  const stack_t stack{memory.data(), 0, memory.size()};
  require(::sigaltstack(&stack, nullptr) == 0);
  set(SIGSEGV, action_with(record_stack, flags));
  install();
  ::raise(SIGSEGV);
  require(is_on(stack_seen, memory) == expected_on_it);
}

TEST(EarlierHandler, RunsOnTheStackItAskedFor) {
  EXPECT_EQ(outcome([] { raise_with_an_alternate_stack(SA_ONSTACK, true); }), "exit 0");
  EXPECT_EQ(outcome([] { raise_with_an_alternate_stack(0, false); }), "exit 0");
}

TEST(EarlierHandler, ThatJumpsOutFindsItsMaskAgain) {
  EXPECT_EQ(outcome([] {
              static sigjmp_buf place;
              set(SIGSEGV, action_with([](int) { ::siglongjmp(place, 1); }));
              install();
              for (static int round = 0; round < 3; ++round) {
                if (sigsetjmp(place, 1) == 0) {
                  real_bug();
                  ::_exit(kWrong);
                }
                require(guarded_access_works());
              }
            }),
            "exit 0");
}

// Whatever came first, here it hands on, as every handler that is installed by a library does.
struct sigaction handed_on_to;
void hand_on(int signal, siginfo_t* info, void* context) {
  calls = calls + 1;
  if ((handed_on_to.sa_flags & SA_SIGINFO) != 0) {
    handed_on_to.sa_sigaction(signal, info, context);
  }
}

TEST(LaterHandler, ThatHandsOnSeesEverySignalAndGuardedAccessWorks) {
  EXPECT_EQ(outcome([] {
              calls = 0;
              install();
              const auto action = action_with(hand_on);
              require(::sigaction(SIGSEGV, &action, &handed_on_to) == 0);
              require(guarded_access_works());
              require(guarded_access_works());
              require(calls == 2);
              real_bug();
            }),
            kSegv);
}

TEST(LaterHandler, MayAskInsteadOfHandingOn) {
  EXPECT_EQ(outcome([] {
              install();
              set(SIGSEGV, action_with([](int signal, siginfo_t* info, void* context) {
                    if (!fault::handle_guarded_fault(signal, info, context)) ::_exit(43);
                  }));
              for (int i = 0; i < 10; ++i) require(guarded_access_works());
              real_bug();
            }),
            "exit 43");
}

TEST(LaterHandler, ThatKeepsTheSignalLosesItToASecondInstall) {
  EXPECT_EQ(outcome([] {
              install();
              set(SIGSEGV, action_with([](int) { ::_exit(44); }));
              install();
              require(guarded_access_works());
              real_bug();
            }),
            "exit 44");
}

// They hand on to us, and after the second installation we to them: no circle.
TEST(LaterHandler, ThatHandsOnAndIsHandedOnToEndsWithTheFirst) {
  EXPECT_EQ(outcome([] {
              calls = 0;
              set(SIGSEGV, action_with([](int) { ::_exit(calls == 1 ? 45 : kWrong); }));
              install();
              const auto action = action_with(hand_on);
              require(::sigaction(SIGSEGV, &action, &handed_on_to) == 0);
              install();
              require(guarded_access_works());
              require(calls == 0);
              real_bug();
            }),
            "exit 45");
}

TEST(Install, TwiceChangesNothing) {
  EXPECT_EQ(outcome([] {
              set(SIGSEGV, action_with([](int) { ::_exit(46); }));
              for (int i = 0; i < 100; ++i) install();
              real_bug();
            }),
            "exit 46");
}

TEST(Install, TakenBackTooOftenIsAnError) {
  EXPECT_EQ(outcome([] {
              const auto rival = action_with([](int) { ::_exit(47); });
              std::expected<void, Error> installed;
              int rounds = 0;
              do {
                installed = fault::install_fault_handler();
                if (installed) set(SIGSEGV, rival);
                ++rounds;
              } while (installed && rounds < 1000);
              require(!installed && installed.error().code == ErrorCode::limit_reached);
              real_bug();  // the rival has it
            }),
            "exit 47");
}

// HotSpot's way: SA_SIGINFO with every signal but the fault's own blocked, answers its own faults
// (a null check, a poll of the page that is closed at a safepoint) by moving on in its own code,
// and hands the rest on to whoever was there before.
volatile std::sig_atomic_t jvm_null_checks = 0;
volatile std::sig_atomic_t jvm_safepoints = 0;
struct sigaction before_jvm;
constexpr std::uintptr_t kJvmNullPage = 0x40;
void* jvm_poll_page = nullptr;
void jvm_handler(int signal, siginfo_t* info, void* context) {
  SignalContext registers(signal, *static_cast<ucontext_t*>(context));
  const bool is_null_check = info->si_addr == reinterpret_cast<void*>(kJvmNullPage);
  const bool is_poll = info->si_addr == jvm_poll_page && info->si_code == SEGV_ACCERR;
  if (is_null_check) jvm_null_checks = jvm_null_checks + 1;
  if (is_poll) jvm_safepoints = jvm_safepoints + 1;
  if (is_null_check || is_poll) {
    registers.continue_at(registers.faulting_instruction() + TEST_REAL_BUG_BYTES);
    return;
  }
  if ((before_jvm.sa_flags & SA_SIGINFO) != 0) before_jvm.sa_sigaction(signal, info, context);
}
void install_jvm() {
  jvm_poll_page = ::mmap(nullptr, page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  auto action = action_with(jvm_handler, SA_ONSTACK | SA_RESTART);
  ::sigfillset(&action.sa_mask);
  ::sigdelset(&action.sa_mask, SIGSEGV);
  require(::sigaction(SIGSEGV, &action, &before_jvm) == 0);
}
[[gnu::noinline]] void jvm_access(std::uintptr_t address) {
  __asm__ volatile(TEST_REAL_BUG : : "r"(address) : "memory", TEST_REAL_BUG_CLOBBER);
}
void both_work_side_by_side() {
  jvm_null_checks = 0;
  jvm_safepoints = 0;
  for (int i = 0; i < 100; ++i) {
    jvm_access(kJvmNullPage);
    require(guarded_access_works());
    jvm_access(reinterpret_cast<std::uintptr_t>(jvm_poll_page));
    // A guarded access elsewhere in that page is no poll.
    require(!try_load(static_cast<char*>(jvm_poll_page) + 8));
  }
  require(jvm_null_checks == 100 && jvm_safepoints == 100);
}

TEST(JvmStyleHandler, WorksBesideOursWhicheverComesFirst) {
  EXPECT_EQ(outcome([] {
              install_jvm();
              install();
              both_work_side_by_side();
            }),
            "exit 0");
  EXPECT_EQ(outcome([] {
              install();
              install_jvm();
              both_work_side_by_side();
            }),
            "exit 0");
}

TEST(SmallAlternateStack, IsEnoughForTheHandler) {
  EXPECT_EQ(outcome([] {
              install();
              const std::size_t bytes = fault::fault_stack_bytes();
              // Right above a page that cannot be written: too small would be a crash.
              const std::size_t pages = (bytes + page_size() - 1) / page_size() + 1;
              auto* const memory =
                  static_cast<char*>(::mmap(nullptr, pages * page_size(), PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
              require(::mprotect(memory, page_size(), PROT_NONE) == 0);
              const stack_t stack{memory + page_size(), 0, bytes};
              require(::sigaltstack(&stack, nullptr) == 0);
              for (int i = 0; i < 10; ++i) require(guarded_access_works());
            }),
            "exit 0");
}

TEST(Fork, ChildRecoversAsItsParentDoes) {
  EXPECT_EQ(outcome([] {
              install();
              require(guarded_access_works());
              require(text_of_status(status_of_child([] { require(guarded_access_works()); })) ==
                      "exit 0");
              require(text_of_status(status_of_child([] { real_bug(); })) == kSegv);
            }),
            "exit 0");
}

TEST(Threads, AllRecoverAtOnce) {
  ASSERT_TRUE(fault::install_fault_handler());
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 2000; ++round) {
        if (!guarded_access_works()) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace trapline::linux_port
