// The collectors that stand on perf events, under load: threads that start faster than one can
// look, rings that overflow, a thousand threads. A counter that the target keeps beside the watched
// word is the truth.
#include <gtest/gtest.h>
#include <linux/perf_event.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <set>
#include <thread>
#include <tuple>
#include <vector>

#include "native_machine.h"
#include "ports/linux/perf_clock.h"
#include "ports/linux/perf_test_support.h"

namespace trapline::linux_port {
namespace {

using testing::EventCollectorKind;
using testing::kEventCollectors;
using testing::name_of_kind;
using testing::plan_for;
using testing::pump;
using testing::RecordedHit;
using testing::RecordingSink;
using testing::SharedPage;
using testing::slots_get_free;
using testing::TargetProcess;
using testing::wait_for;

constexpr std::size_t kSlots = 4;

class EventStorm : public ::testing::TestWithParam<EventCollectorKind> {};
INSTANTIATE_TEST_SUITE_P(Collectors, EventStorm, ::testing::ValuesIn(kEventCollectors),
                         name_of_kind);

alignas(64) volatile std::uint64_t words[4];

// Each thread has the next number and writes it to every word once. Numbers handed out before the
// watch was in place may go unseen; those after must be seen exactly once per word.
void write_number(SharedPage& page, std::size_t word_count) {
  const std::uint64_t number = page.writes.fetch_add(1) + 1;
  for (std::size_t i = 0; i < word_count; ++i) {
    // From a known register, so that the hit tells the number.
    native::store_first_argument(words[i], number);
  }
}

// Several creators, each starting one short-lived thread after another, and those may start one
// more themselves.
void storm(SharedPage& page, std::size_t word_count) {
  const auto creator = [&page, word_count] {
    while (!page.quit) {
      std::thread([&page, word_count] {
        write_number(page, word_count);
        if (page.writes % 3 == 0)
          std::thread([&page, word_count] { write_number(page, word_count); }).join();
        write_number(page, word_count);
      }).join();
    }
  };
  std::vector<std::thread> creators;
  creators.reserve(4);
  for (std::size_t i = 0; i < 4; ++i) creators.emplace_back(creator);
  page.ready = 1;
  for (std::thread& thread : creators) thread.join();
  page.ready = 2;
  wait_for(page.stage, 9);
}

// The numbers seen for one word, each as often as it was seen.
std::multiset<std::uint64_t> numbers_seen(const std::vector<RecordedHit>& hits,
                                          RemoteAddress address) {
  std::multiset<std::uint64_t> numbers;
  for (const RecordedHit& hit : hits) {
    if (hit.sample.hit.address == address)
      numbers.insert(hit.sample.registers.get(native::kFirstArgument).value_or(0));
  }
  return numbers;
}

void expect_storm_is_seen_whole(const EventCollectorKind& kind, std::size_t word_count) {
  const auto collector = kind.make();
  TargetProcess target([word_count](SharedPage& page) { storm(page, word_count); });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  RecordingSink sink;
  const auto report =
      collector->install({.pid = target.pid()}, plan_for(words, 8 * word_count), {});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  // The one note there is then says so.
  const std::size_t expected_notes = report->sees_kernel_accesses ? 0 : 1;
  EXPECT_EQ(report->notes.size(), expected_notes) << ::testing::PrintToString(report->notes);
  // From here on every write has to be seen. A few numbers may be handed out but not yet written.
  const std::uint64_t first = target.shared().writes + 1;
  const std::uint64_t enough = first + 1500;
  ASSERT_TRUE(pump(*collector, sink, [&] { return target.shared().writes > enough; }));
  target.shared().quit = true;
  ASSERT_TRUE(pump(*collector, sink, [&] { return target.shared().ready == 2; }));
  const std::uint64_t last = target.shared().writes;
  collector->stop(sink);
  EXPECT_TRUE(slots_get_free(ThreadId{target.pid().value}, kSlots));
  // What a thread wrote that had inherited an event without a program yet, before install()
  // returned.
  if (kind.name != "bpf") {
    EXPECT_EQ(sink.lost, 0U);
  }

  for (std::size_t i = 0; i < word_count; ++i) {
    const auto seen = numbers_seen(sink.hits, RemoteAddress::of_local(&words[i]));
    std::size_t missing = 0;
    for (std::uint64_t number = first; number <= last; ++number)
      missing += seen.contains(number) ? 0U : 1U;
    EXPECT_EQ(missing, 0U) << "of " << last - first + 1 << " for word " << i;
    const std::set<std::uint64_t> distinct(seen.begin(), seen.end());
    EXPECT_EQ(seen.size(), distinct.size()) << "doubles for word " << i;
  }
}

TEST_P(EventStorm, ThreadsThatStartDuringTheAttachAreSeenOnceEach) {
  for (int round = 0; round < 5; ++round) expect_storm_is_seen_whole(GetParam(), 1);
}

TEST_P(EventStorm, SoTheyAreWhenDoublesHaveNoRoomInTheRegisters) {
  for (int round = 0; round < 3; ++round) expect_storm_is_seen_whole(GetParam(), 3);
}

TEST_P(EventStorm, WhatATinyRingLosesIsCountedExactly) {
  constexpr std::uint64_t kWrites = 20'000;
  constexpr int kThreads = 2;
  TargetProcess target([](SharedPage& page) {
    page.ready = 1;
    if (!wait_for(page.stage, 1)) return;
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([] {
        for (std::uint64_t n = 0; n < kWrites; ++n) words[0] = n;
      });
    }
    for (std::thread& thread : threads) thread.join();
    page.ready = 2;
    wait_for(page.stage, 9);
  });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const auto collector = GetParam().make();
  RecordingSink sink;
  CollectorOptions options;
  options.ring_bytes = ByteCount{4096};
  ASSERT_TRUE(collector->install({.pid = target.pid()}, plan_for(words, 8), options).has_value());
  target.shared().stage = 1;
  ASSERT_TRUE(pump(*collector, sink, [&] { return target.shared().ready == 2; }));
  const std::uint64_t reported_early = sink.lost;
  collector->stop(sink);
  EXPECT_GT(sink.lost, 0U) << "the ring was meant to overflow";
  EXPECT_LE(reported_early, sink.lost);
  EXPECT_FALSE(sink.lost_is_lower_bound);
  // Each lost run is told of where it was, not at the end: nobody takes the hits on its two sides
  // for neighbours.
  ASSERT_FALSE(sink.gaps.empty());
  EXPECT_LT(sink.gaps.front(), sink.hits.size());
  EXPECT_EQ(sink.hits.size() + sink.lost, std::uint64_t{kThreads} * kWrites);
}

TEST_P(EventStorm, DefaultRingsLoseNothingAtFullSpeed) {
  constexpr std::uint64_t kWrites = 50'000;
  TargetProcess target([](SharedPage& page) {
    page.ready = 1;
    if (!wait_for(page.stage, 1)) return;
    const Nanoseconds start = perf_clock_now();
    for (std::uint64_t n = 0; n < kWrites; ++n) words[0] = n;
    page.writes = perf_clock_now().value - start.value;
    page.ready = 2;
    wait_for(page.stage, 9);
  });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const auto collector = GetParam().make();
  RecordingSink sink;
  sink.hits.reserve(kWrites);
  ASSERT_TRUE(collector->install({.pid = target.pid()}, plan_for(words, 8), {}).has_value());
  target.shared().stage = 1;
  ASSERT_TRUE(pump(*collector, sink, [&] { return target.shared().ready == 2; }));
  collector->stop(sink);
  EXPECT_EQ(sink.lost, 0U);
  EXPECT_EQ(sink.hits.size(), kWrites);
  std::printf("%.2f us per hit\n",
              static_cast<double>(target.shared().writes) / 1000.0 / double{kWrites});
}

TEST_P(EventStorm, AThousandThreadsAreWatchedInOneGo) {
  constexpr std::uint32_t kThreads = 1000;
  TargetProcess target([](SharedPage& page) {
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (std::uint32_t i = 1; i < kThreads; ++i) {
      threads.emplace_back([&page] {
        ++page.number;
        while (page.stage == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
        words[0] = 1;
      });
    }
    while (page.number + 1 < static_cast<std::int32_t>(kThreads))
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    page.ready = 1;
    for (std::thread& thread : threads) thread.join();
    page.ready = 2;
    wait_for(page.stage, 9);
  });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const auto collector = GetParam().make();
  RecordingSink sink;
  const Nanoseconds start = perf_clock_now();
  const auto report = collector->install({.pid = target.pid()}, plan_for(words, 8), {});
  const Nanoseconds installed = perf_clock_now();
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(report->threads, kThreads);
  target.shared().stage = 1;
  ASSERT_TRUE(pump(*collector, sink, [&] { return target.shared().ready == 2; }));
  const Nanoseconds stopping = perf_clock_now();
  collector->stop(sink);
  const Nanoseconds stopped = perf_clock_now();
  EXPECT_EQ(sink.hits.size(), kThreads - 1);
  EXPECT_EQ(sink.lost, 0U);
  std::printf("%u threads: installed in %.1f ms, stopped in %.1f ms\n", kThreads,
              static_cast<double>(installed.value - start.value) / 1e6,
              static_cast<double>(stopped.value - stopping.value) / 1e6);
}

// Whatever the order in which the threads are trapped: what one hit left is what one other found.
TEST(BpfValues, OfThreadsThatWriteAtOnceAreOneChain) {
  constexpr std::uint64_t kThreads = 4;
  constexpr std::uint64_t kWrites = 2'000;
  TargetProcess target([](SharedPage& page) {
    page.ready = 1;
    if (!wait_for(page.stage, 1)) return;
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (std::uint64_t thread = 1; thread <= kThreads; ++thread) {
      threads.emplace_back([thread] {
        for (std::uint64_t n = 1; n <= kWrites; ++n) words[0] = thread << 32 | n;
      });
    }
    for (std::thread& thread : threads) thread.join();
    page.ready = 2;
    wait_for(page.stage, 9);
  });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const auto collector = make_bpf_collector();
  RecordingSink sink;
  ASSERT_TRUE(collector->install({.pid = target.pid()}, plan_for(words, 8), {}).has_value());
  target.shared().stage = 1;
  ASSERT_TRUE(pump(*collector, sink, [&] { return target.shared().ready == 2; }));
  collector->stop(sink);
  ASSERT_EQ(sink.hits.size() + sink.lost, kThreads * kWrites);
  EXPECT_EQ(sink.lost, 0U);

  std::multiset<std::uint64_t> left;
  for (const RecordedHit& hit : sink.hits) {
    ASSERT_EQ(hit.sample.hit.new_value.certainty, Certainty::exact);
    left.insert(hit.sample.hit.new_value.bits);
  }
  for (const RecordedHit& hit : sink.hits) {
    const MemoryValue found = hit.sample.hit.old_value;
    // Nothing is known of what the first ones found.
    if (found.certainty == Certainty::unknown) continue;
    const auto one = left.find(found.bits);
    ASSERT_NE(one, left.end()) << std::hex << found.bits << " was found more often than left";
    left.erase(one);
  }
  EXPECT_LE(left.size(), kThreads) << "left, and found by nobody";
}

}  // namespace
}  // namespace trapline::linux_port
