// Values where a process writes to memory that is also another's, as a child of vfork(2) does, on
// this machine.

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <vector>

#include "ports/linux/bpf/bpf_collector.h"
#include "ports/linux/perf_test_support.h"

namespace trapline::linux_port::testing {
namespace {

alignas(8) volatile std::uint64_t word;

// Whose turn it is to write, of the two processes that share this memory.
std::atomic<int> turn{0};
void await(int number) {
  while (turn != number) ::sched_yield();
}

int write_as_child(void* /*unused*/) {
  word = 2;
  turn = 1;
  await(2);
  word = 6;
  turn = 3;
  await(4);
  return 0;
}

// 1, 5, 7, 3 and 8 by a process; 2 and 6, between these, by a child in its memory, which ends
// before the 3.
void take_turns(SharedPage& page) {
  page.ready = 1;
  if (!wait_for(page.stage, 1)) return;
  word = 1;
  constexpr std::size_t kStackBytes = 65536;
  std::vector<std::byte> stack(kStackBytes);
  const pid_t child =
      ::clone(write_as_child, stack.data() + stack.size(), CLONE_VM | SIGCHLD, nullptr);
  if (child < 0) return;
  await(1);
  word = 5;
  turn = 2;
  await(3);
  word = 7;
  turn = 4;
  ::waitpid(child, nullptr, 0);
  word = 3;
  word = 8;
  page.ready = 2;
  wait_for(page.stage, 9);
}

struct Told {
  std::uint64_t new_value;
  MemoryValue old_value;
  friend bool operator==(const Told&, const Told&) = default;
  friend void PrintTo(const Told& told, std::ostream* out) {
    *out << told.old_value.bits << " to " << told.new_value << ", "
         << static_cast<int>(told.old_value.certainty);
  }
};

// What a watch of `word` tells of that.
std::vector<Told> watch_turns(bool follow_children) {
  TargetProcess target(take_turns);
  if (!wait_for(target.shared().ready, 1)) return {};
  const auto collector = make_bpf_collector();
  RecordingSink sink;
  CollectorOptions options;
  options.stack = StackMode::none;
  const auto report = collector->install({.pid = target.pid(), .follow_children = follow_children},
                                         plan_for(&word, 8), options);
  EXPECT_TRUE(report.has_value()) << report.error().message;
  target.shared().stage = 1;
  EXPECT_TRUE(pump(*collector, sink, [&] { return target.shared().ready >= 2; }));
  collector->stop(sink);
  std::vector<Told> told;
  for (const RecordedHit& recorded : sink.hits)
    told.push_back({recorded.sample.hit.new_value.bits, recorded.sample.hit.old_value});
  return told;
}

constexpr MemoryValue kUnknown{};
constexpr MemoryValue exact(std::uint64_t bits) {
  return {bits, Certainty::exact};
}

TEST(BpfSharedMemory, OldValueIsWhatTheOtherProcessLeftThere) {
  EXPECT_EQ(watch_turns(/*follow_children=*/true), (std::vector<Told>{{1, kUnknown},
                                                                      {2, exact(1)},
                                                                      {5, exact(2)},
                                                                      {6, exact(5)},
                                                                      {7, exact(6)},
                                                                      {3, exact(7)},
                                                                      {8, exact(3)}}));
}

TEST(BpfSharedMemory, OldValueIsUnknownWhileAProcessThatIsNotFollowedMayWrite) {
  EXPECT_EQ(watch_turns(/*follow_children=*/false),
            (std::vector<Told>{
                {1, kUnknown}, {5, kUnknown}, {7, kUnknown}, {3, kUnknown}, {8, exact(3)}}));
}

}  // namespace
}  // namespace trapline::linux_port::testing
