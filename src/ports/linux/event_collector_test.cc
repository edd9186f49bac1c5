// The collectors that stand on perf events, against the real kernel: each test watches a child
// process of its own.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "native_machine.h"
#include "ports/linux/perf_arch.h"
#include "ports/linux/perf_clock.h"
#include "ports/linux/perf_test_support.h"
#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {
namespace {

using testing::EventCollectorKind;
using testing::free_slots_of;
using testing::kEventCollectors;
using testing::name_of_kind;
using testing::occupy_slots;
using testing::plan_for;
using testing::pump;
using testing::RecordedHit;
using testing::RecordingSink;
using testing::SharedPage;
using testing::slots_get_free;
using testing::TargetProcess;
using testing::wait_for;

using ::testing::HasSubstr;

constexpr std::size_t kSlots = 4;

// Watched in the children; fork keeps their addresses.
alignas(64) volatile std::uint64_t word;
alignas(64) volatile std::uint64_t words[5];  // one more than is watched
alignas(64) char buffer[64];

[[gnu::noinline]] void write_word(std::uint64_t value) {
  // A leaf may do without a frame, and a frame-pointer walk then misses its caller.
  asm volatile("" ::"r"(__builtin_frame_address(0)));
  native::store_first_argument(word, value);
}
[[gnu::noinline]] void call_write_word(std::uint64_t value) {
  write_word(value);
  asm volatile("" ::: "memory");  // so that the call above is not a jump
}

class EventCollector : public ::testing::TestWithParam<EventCollectorKind> {};
INSTANTIATE_TEST_SUITE_P(Collectors, EventCollector, ::testing::ValuesIn(kEventCollectors),
                         name_of_kind);

bool lies_in(RemoteAddress address, void (*function)(std::uint64_t)) {
  const auto start = reinterpret_cast<std::uintptr_t>(function);
  return address.value() > start && address.value() < start + 64;
}

bool stop_cleanly(Collector& collector, SampleSink& sink, ProcessId pid) {
  collector.stop(sink);
  return slots_get_free(ThreadId{pid.value}, kSlots);
}

TEST_P(EventCollector, OneWriteIsOneHitWithItsOrigin) {
  TargetProcess target([](SharedPage& page) {
    ::prctl(PR_SET_NAME, "the writer");
    page.ready = 1;
    if (wait_for(page.stage, 1)) call_write_word(42);
    page.ready = 2;
    wait_for(page.stage, 9);
  });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const auto collector = GetParam().make();
  RecordingSink sink;
  const auto report = collector->install({.pid = target.pid()}, plan_for(&word, 8), {});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(report->threads, 1U);
  EXPECT_EQ(report->slots, 1U);
  EXPECT_EQ(report->sees_kernel_accesses, native_perf_architecture().sees_system_calls);
  EXPECT_EQ(report->notes.empty(), report->sees_kernel_accesses);
  EXPECT_EQ(report->cpus, possible_cpus().value());

  const Nanoseconds before = perf_clock_now();
  target.shared().stage = 1;
  ASSERT_TRUE(pump(*collector, sink, [&] { return !sink.hits.empty(); }));
  const Nanoseconds after = perf_clock_now();
  ASSERT_TRUE(wait_for(target.shared().ready, 2));
  EXPECT_TRUE(stop_cleanly(*collector, sink, target.pid()));

  ASSERT_EQ(sink.hits.size(), 1U);
  EXPECT_EQ(sink.lost, 0U);
  const RecordedHit& recorded = sink.hits.front();
  const Hit& hit = recorded.sample.hit;
  EXPECT_EQ(hit.pid, target.pid());
  EXPECT_EQ(hit.tid.value, target.pid().value);
  EXPECT_TRUE(report->cpus.contains(hit.cpu));
  EXPECT_EQ(hit.address, RemoteAddress::of_local(&word));
  EXPECT_EQ(hit.length, ByteCount{8});
  EXPECT_EQ(hit.access, Access::write);
  EXPECT_FALSE(hit.in_kernel);
  EXPECT_TRUE(lies_in(hit.trap_ip, write_word));
  EXPECT_STREQ(hit.comm.data(), "the writer");
  EXPECT_GE(hit.time, before);
  EXPECT_LE(hit.time, after);
  EXPECT_EQ(recorded.sample.registers.get(native::kInstructionPointer), hit.trap_ip.value());
  EXPECT_EQ(recorded.sample.registers.get(native::kFirstArgument), 42U);
  ASSERT_FALSE(recorded.callers.empty());
  EXPECT_TRUE(lies_in(recorded.callers.front(), call_write_word));
}

TEST_P(EventCollector, EveryLengthAndEverySlotReportsItsOwnAddress) {
  for (const std::size_t length : {1U, 2U, 4U, 8U, 32U}) {
    TargetProcess target([length](SharedPage& page) {
      page.ready = 1;
      if (wait_for(page.stage, 1)) {
        volatile char* const bytes = reinterpret_cast<volatile char*>(words);
        for (std::uint64_t i = 0; i <= length; ++i) bytes[i] = 'x';
      }
      page.ready = 2;
      wait_for(page.stage, 9);
    });
    ASSERT_TRUE(wait_for(target.shared().ready, 1));
    const auto collector = GetParam().make();
    RecordingSink sink;
    const auto report = collector->install({.pid = target.pid()}, plan_for(words, length), {});
    ASSERT_TRUE(report.has_value()) << report.error().message;
    target.shared().stage = 1;
    ASSERT_TRUE(wait_for(target.shared().ready, 2));
    EXPECT_TRUE(stop_cleanly(*collector, sink, target.pid())) << length;
    ASSERT_EQ(sink.hits.size(), length);
    for (std::size_t i = 0; i < length; ++i) {
      const std::size_t slot_length = std::min<std::size_t>(length, 8);
      EXPECT_EQ(sink.hits[i].sample.hit.address,
                RemoteAddress::of_local(words) + ByteCount{i / slot_length * slot_length});
      EXPECT_EQ(sink.hits[i].sample.hit.length.value, slot_length);
    }
  }
}

struct Piece {
  std::size_t offset = 0;
  std::size_t length = 0;
};

// All there are. For each, bpf loads programs, which takes long in a guest: there it is 3 bytes,
// which fit in a doubleword at offsets 0 to 5, and 8, which fit at 0 only.
std::vector<Piece> pieces_for(const EventCollectorKind& kind) {
  const bool is_slow = kind.name == "bpf" && std::getenv("TRAPLINE_GUEST") != nullptr;
  std::vector<Piece> pieces;
  for (std::size_t offset = 0; offset < 8; ++offset) {
    for (std::size_t length = 1; length <= 8; ++length) {
      if (!is_slow || length == 3 || length == 8) pieces.push_back({offset, length});
    }
  }
  return pieces;
}

// Split as the machine needs it, and no byte beside them is seen.
TEST_P(EventCollector, UpToEightBytesAtAnyOffsetAreSeenWhole) {
  const std::vector<Piece> pieces = pieces_for(GetParam());
  TargetProcess target([&](SharedPage& page) {
    volatile char* const bytes = reinterpret_cast<volatile char*>(words);
    page.ready = 1;
    for (std::uint32_t round = 1; round <= pieces.size() && wait_for(page.stage, round); ++round) {
      for (std::size_t i = 0; i < 16; ++i) bytes[i] = 'x';
      page.ready = round + 1;
    }
  });
  std::uint32_t round = 0;
  for (const auto& [offset, length] : pieces) {
    ++round;
    SCOPED_TRACE(::testing::Message() << length << " bytes at offset " << offset);
    ASSERT_TRUE(wait_for(target.shared().ready, round));
    const auto* const watched = reinterpret_cast<volatile char*>(words) + offset;
    const Plan plan = plan_for(watched, length);
    const auto collector = GetParam().make();
    RecordingSink sink;
    const auto report = collector->install({.pid = target.pid()}, plan, {});
    ASSERT_TRUE(report.has_value()) << report.error().message;
    EXPECT_EQ(report->slots, plan.slots().size());
    target.shared().stage = round;
    ASSERT_TRUE(wait_for(target.shared().ready, round + 1));
    collector->stop(sink);
    EXPECT_EQ(sink.hits.size(), length);
    for (const RecordedHit& recorded : sink.hits) {
      const RemoteAddress at = recorded.sample.hit.address;
      EXPECT_LT((at - RemoteAddress::of_local(watched)).value, length);
    }
  }
}

TEST_P(EventCollector, ThreadsThatStartLaterAreWatched) {
  constexpr int kThreads = 5;
  TargetProcess target([](SharedPage& page) {
    page.ready = 1;
    if (!wait_for(page.stage, 1)) return;
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) threads.emplace_back([] { word = 1; });
    for (std::thread& thread : threads) thread.join();
    page.ready = 2;
    wait_for(page.stage, 9);
  });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const auto collector = GetParam().make();
  RecordingSink sink;
  ASSERT_TRUE(collector->install({.pid = target.pid()}, plan_for(&word, 8), {}).has_value());
  target.shared().stage = 1;
  ASSERT_TRUE(pump(*collector, sink, [&] { return sink.hits.size() == kThreads; }));
  ASSERT_TRUE(wait_for(target.shared().ready, 2));
  EXPECT_TRUE(stop_cleanly(*collector, sink, target.pid()));
  EXPECT_EQ(sink.hits.size(), static_cast<std::size_t>(kThreads));
  EXPECT_EQ(sink.count(TargetEvent::Kind::thread_started), static_cast<std::size_t>(kThreads));
  EXPECT_EQ(sink.count(TargetEvent::Kind::thread_exited), static_cast<std::size_t>(kThreads));
  EXPECT_TRUE(std::is_sorted(sink.hits.begin(), sink.hits.end(),
                             [](const RecordedHit& left, const RecordedHit& right) {
                               return left.sample.hit.time < right.sample.hit.time;
                             }));
}

TEST_P(EventCollector, OnlyTheOneThreadIsWatchedWhenAskedFor) {
  TargetProcess target([](SharedPage& page) {
    std::thread other([&page] {
      page.number = ::gettid();
      page.ready = 1;
      if (!wait_for(page.stage, 1)) return;
      word = 2;
      std::thread([] { word = 3; }).join();
    });
    if (wait_for(page.stage, 1)) word = 1;
    other.join();
    page.ready = 2;
    wait_for(page.stage, 9);
  });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const ThreadId tid{target.shared().number};
  const auto collector = GetParam().make();
  RecordingSink sink;
  const auto report =
      collector->install({.pid = target.pid(), .only_thread = tid}, plan_for(&word, 8), {});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(report->threads, 1U);
  target.shared().stage = 1;
  bool gone = false;
  EXPECT_TRUE(pump(*collector, sink, [&] { return gone; }, &gone)) << "the thread has ended";
  EXPECT_TRUE(stop_cleanly(*collector, sink, target.pid()));
  ASSERT_EQ(sink.hits.size(), 1U);
  EXPECT_EQ(sink.hits.front().sample.hit.tid, tid);
}

// Forks, and both write; the child's pid goes to page.number.
void fork_and_write(SharedPage& page) {
  page.ready = 1;
  if (!wait_for(page.stage, 1)) return;
  const pid_t child = ::fork();
  if (child == 0) {
    word = 2;
    ::_exit(7);
  }
  page.number = child;
  ::waitpid(child, nullptr, 0);
  word = 1;
  page.ready = 2;
  wait_for(page.stage, 2);
}

TEST_P(EventCollector, ChildProcessesAreSilentUnlessFollowed) {
  TargetProcess target(fork_and_write);
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const auto collector = GetParam().make();
  RecordingSink sink;
  ASSERT_TRUE(collector->install({.pid = target.pid()}, plan_for(&word, 8), {}).has_value());
  target.shared().stage = 1;
  ASSERT_TRUE(wait_for(target.shared().ready, 2));
  EXPECT_TRUE(stop_cleanly(*collector, sink, target.pid()));
  ASSERT_EQ(sink.hits.size(), 1U);
  EXPECT_EQ(sink.hits.front().sample.hit.pid, target.pid());
  EXPECT_EQ(sink.count(TargetEvent::Kind::process_forked), 0U);
  EXPECT_EQ(sink.lost, 0U);
}

TEST_P(EventCollector, ChildProcessesAreReportedWhenFollowed) {
  TargetProcess target(fork_and_write);
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const auto collector = GetParam().make();
  RecordingSink sink;
  const TargetScope scope{.pid = target.pid(), .follow_children = true};
  ASSERT_TRUE(collector->install(scope, plan_for(&word, 8), {}).has_value());
  target.shared().stage = 1;
  ASSERT_TRUE(pump(*collector, sink, [&] { return sink.hits.size() == 2; }));
  const ProcessId child{target.shared().number};
  EXPECT_EQ(sink.hits[0].sample.hit.pid, child);
  EXPECT_EQ(sink.hits[1].sample.hit.pid, target.pid());
  target.shared().stage = 2;
  bool gone = false;
  ASSERT_TRUE(pump(*collector, sink, [&] { return gone; }, &gone));
  collector->stop(sink);
  EXPECT_EQ(sink.count(TargetEvent::Kind::process_forked), 1U);
  EXPECT_EQ(sink.count(TargetEvent::Kind::process_exited), 2U);
  EXPECT_EQ(sink.lost, 0U);
}

TEST_P(EventCollector, ExecEndsTheWatchAndIsReported) {
  TargetProcess target([](SharedPage& page) {
    page.ready = 1;
    if (!wait_for(page.stage, 1)) return;
    word = 1;
    ::execl("/bin/sleep", "sleep", "20", static_cast<char*>(nullptr));
  });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const auto collector = GetParam().make();
  RecordingSink sink;
  ASSERT_TRUE(collector->install({.pid = target.pid()}, plan_for(&word, 8), {}).has_value());
  target.shared().stage = 1;
  bool gone = false;
  ASSERT_TRUE(pump(*collector, sink, [&] { return gone; }, &gone));
  EXPECT_EQ(sink.hits.size(), 1U);
  EXPECT_EQ(sink.count(TargetEvent::Kind::executed), 1U);
  EXPECT_EQ(sink.count(TargetEvent::Kind::process_exited), 0U);
  EXPECT_TRUE(stop_cleanly(*collector, sink, target.pid()));
  EXPECT_EQ(sink.lost, 0U);
}

TEST_P(EventCollector, TheEndOfTheProcessIsReportedWithItsStatus) {
  TargetProcess target([](SharedPage& page) {
    page.ready = 1;
    if (!wait_for(page.stage, 1)) return;
    word = 1;
    ::_exit(3);
  });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const auto collector = GetParam().make();
  RecordingSink sink;
  ASSERT_TRUE(collector->install({.pid = target.pid()}, plan_for(&word, 8), {}).has_value());
  target.shared().stage = 1;
  bool gone = false;
  ASSERT_TRUE(pump(*collector, sink, [&] { return gone; }, &gone));
  collector->stop(sink);
  EXPECT_EQ(sink.hits.size(), 1U);
  ASSERT_EQ(sink.count(TargetEvent::Kind::process_exited), 1U);
  const TargetEvent& last = sink.events.back();
  ASSERT_EQ(last.kind, TargetEvent::Kind::process_exited);
  ASSERT_TRUE(last.wait_status.has_value());
  EXPECT_TRUE(WIFEXITED(*last.wait_status));
  EXPECT_EQ(WEXITSTATUS(*last.wait_status), 3);
  EXPECT_EQ(WEXITSTATUS(target.join()), 3) << "nobody reaped it";
}

TEST_P(EventCollector, AWriteByASystemCallShowsWhoMadeTheCall) {
  TargetProcess target([](SharedPage& page) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) return;
    page.ready = 1;
    if (!wait_for(page.stage, 1)) return;
    if (::write(ends[1], "12345678", 8) != 8) return;
    if (::read(ends[0], buffer, 8) == 8) page.ready = 2;
    wait_for(page.stage, 9);
  });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const auto collector = GetParam().make();
  RecordingSink sink;
  ASSERT_TRUE(collector->install({.pid = target.pid()}, plan_for(buffer, 8), {}).has_value());
  target.shared().stage = 1;
  ASSERT_TRUE(wait_for(target.shared().ready, 2));
  EXPECT_TRUE(stop_cleanly(*collector, sink, target.pid()));
  ASSERT_FALSE(sink.hits.empty());
  const RecordedHit& recorded = sink.hits.front();
  EXPECT_TRUE(recorded.sample.hit.in_kernel);
  EXPECT_FALSE(recorded.kernel_stack.empty());
  EXPECT_NE(recorded.kernel_stack.front(), recorded.sample.hit.trap_ip);
  ASSERT_TRUE(recorded.sample.user_ip.has_value());
  EXPECT_EQ(recorded.sample.user_ip->value(),
            recorded.sample.registers.get(native::kInstructionPointer));
}

TEST_P(EventCollector, AFunctionWatchedForExecutionShowsItsImmediateCaller) {
  TargetProcess target([](SharedPage& page) {
    page.ready = 1;
    if (wait_for(page.stage, 1)) call_write_word(1);
    page.ready = 2;
    wait_for(page.stage, 9);
  });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const auto collector = GetParam().make();
  RecordingSink sink;
  const auto* entry = reinterpret_cast<const volatile void*>(&write_word);
  const auto report =
      collector->install({.pid = target.pid()}, plan_for(entry, 8, Access::execute), {});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  target.shared().stage = 1;
  ASSERT_TRUE(wait_for(target.shared().ready, 2));
  EXPECT_TRUE(stop_cleanly(*collector, sink, target.pid()));
  ASSERT_EQ(sink.hits.size(), 1U);
  EXPECT_EQ(sink.hits.front().sample.hit.trap_ip, RemoteAddress::of_local(entry));
  ASSERT_TRUE(sink.hits.front().sample.stack_top.has_value());
  EXPECT_TRUE(lies_in(*sink.hits.front().sample.stack_top, call_write_word));
}

TEST_P(EventCollector, DwarfModeCopiesTheStackFromItsPointerUp) {
  if (GetParam().name == "bpf") GTEST_SKIP() << "collector bpf takes no copies of stacks";
  TargetProcess target([](SharedPage& page) {
    page.ready = 1;
    if (wait_for(page.stage, 1)) call_write_word(1);
    page.ready = 2;
    wait_for(page.stage, 9);
  });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const auto collector = GetParam().make();
  RecordingSink sink;
  CollectorOptions options;
  options.stack = StackMode::dwarf;
  options.dwarf_stack_bytes = ByteCount{4096};
  ASSERT_TRUE(collector->install({.pid = target.pid()}, plan_for(&word, 8), options).has_value());
  target.shared().stage = 1;
  ASSERT_TRUE(wait_for(target.shared().ready, 2));
  EXPECT_TRUE(stop_cleanly(*collector, sink, target.pid()));
  ASSERT_EQ(sink.hits.size(), 1U);
  EXPECT_TRUE(sink.hits.front().callers.empty());
  const auto& stack = sink.hits.front().stack_bytes;
  ASSERT_GT(stack.size(), 256U);
  // With frame pointers the saved one lies on top and the return address is next.
  std::array<std::uintptr_t, 2> top{};
  std::memcpy(top.data(), stack.data(), sizeof top);
  EXPECT_TRUE(lies_in(RemoteAddress(top[0]), call_write_word) ||
              lies_in(RemoteAddress(top[1]), call_write_word));
}

TEST_P(EventCollector, TakenRegistersAreAnErrorThatLeavesNothingBehind) {
  TargetProcess target([](SharedPage& page) {
    page.ready = 1;
    wait_for(page.stage, 9);
  });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const ThreadId tid{target.pid().value};
  {
    const auto taken = occupy_slots(tid, kSlots - 1);
    ASSERT_EQ(taken.size(), kSlots - 1);
    const auto collector = GetParam().make();
    const auto report = collector->install({.pid = target.pid()}, plan_for(words, 16), {});
    ASSERT_FALSE(report.has_value());
    EXPECT_EQ(report.error().error.code, ErrorCode::no_free_slot);
    EXPECT_THAT(report.error().message, HasSubstr("needs 2"));
    EXPECT_EQ(free_slots_of(tid), 1U);
  }
  EXPECT_TRUE(slots_get_free(tid, kSlots));
}

TEST_P(EventCollector, TheDestructorLeavesNothingBehind) {
  TargetProcess target([](SharedPage& page) {
    page.ready = 1;
    wait_for(page.stage, 9);
  });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const ThreadId tid{target.pid().value};
  {
    const auto collector = GetParam().make();
    ASSERT_TRUE(collector->install({.pid = target.pid()}, plan_for(words, 32), {}).has_value());
    EXPECT_EQ(free_slots_of(tid), 0U);
  }
  EXPECT_TRUE(slots_get_free(tid, kSlots));
}

TEST_P(EventCollector, AProcessThatIsNotThereIsNamed) {
  pid_t gone = 0;
  {
    TargetProcess target([](SharedPage&) {});
    gone = target.pid().value;
    target.join();
  }
  const auto report = GetParam().make()->install({.pid = ProcessId{gone}}, plan_for(&word, 8), {});
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().error.code, ErrorCode::no_such_process);
  EXPECT_THAT(report.error().message, HasSubstr(std::to_string(gone)));
}

TEST_P(EventCollector, CallsOutOfOrderAreRefused) {
  RecordingSink sink;
  const auto collector = GetParam().make();
  EXPECT_EQ(collector->drain(sink).error().error.code, ErrorCode::wrong_state);
  TargetProcess target([](SharedPage& page) { wait_for(page.stage, 9); });
  ASSERT_TRUE(collector->install({.pid = target.pid()}, plan_for(&word, 8), {}).has_value());
  EXPECT_EQ(collector->install({.pid = target.pid()}, plan_for(&word, 8), {}).error().error.code,
            ErrorCode::wrong_state);
  collector->stop(sink);
  collector->stop(sink);
}

// Puts something that tells no count in the place of every perf event this process has open.
void make_counts_unreadable() {
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  ASSERT_GE(nothing, 0);
  for (int descriptor = 3; descriptor < 4096; ++descriptor) {
    std::array<char, 64> name{};
    const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
    if (::readlink(link.c_str(), name.data(), name.size() - 1) <= 0) continue;
    if (std::strcmp(name.data(), "anon_inode:[perf_event]") != 0) continue;
    ASSERT_EQ(::dup2(nothing, descriptor), descriptor);
  }
  ::close(nothing);
}

TEST_P(EventCollector, CountsThatCannotBeReadMakeTheLossALowerBound) {
  for (const bool readable : {true, false}) {
    TargetProcess target([](SharedPage& page) {
      page.ready = 1;
      wait_for(page.stage, 9);
    });
    ASSERT_TRUE(wait_for(target.shared().ready, 1));
    const auto collector = GetParam().make();
    RecordingSink sink;
    ASSERT_TRUE(collector->install({.pid = target.pid()}, plan_for(&word, 8), {}).has_value());
    if (!readable) {
      ASSERT_NO_FATAL_FAILURE(make_counts_unreadable());
    }
    collector->stop(sink);
    EXPECT_EQ(sink.lost_is_lower_bound, !readable);
  }
}

}  // namespace
}  // namespace trapline::linux_port
