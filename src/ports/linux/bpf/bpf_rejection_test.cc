// Hits that the programs reject, on this machine: they are counted, they cost no record, and the
// hits after them know what they left.

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <thread>

#include "ports/linux/bpf/bpf_collector.h"
#include "ports/linux/perf_test_support.h"
#include "trapline/watch/condition.h"

namespace trapline::linux_port::testing {
namespace {

alignas(8) volatile std::uint64_t word;

CollectorOptions options_with(std::initializer_list<const char*> texts) {
  CollectorOptions options;
  options.stack = StackMode::none;
  for (const char* text : texts)
    options.conditions.push_back(
        *type_condition(*parse_condition(text), {ByteCount{8}, /*is_signed=*/false}));
  return options;
}

// What a watch of `word` delivers while `write` runs in a process of its own.
void watch(const CollectorOptions& options, const std::function<void()>& write,
           RecordingSink& sink) {
  TargetProcess target([&](SharedPage& page) {
    page.ready = 1;
    if (!wait_for(page.stage, 1)) return;
    write();
    page.ready = 2;
    wait_for(page.stage, 9);
  });
  ASSERT_TRUE(wait_for(target.shared().ready, 1));
  const auto collector = make_bpf_collector();
  const auto report = collector->install({.pid = target.pid()}, plan_for(&word, 8), options);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  target.shared().stage = 1;
  ASSERT_TRUE(pump(*collector, sink, [&] { return target.shared().ready >= 2; }));
  collector->stop(sink);
}

void write_numbers_to(std::uint64_t last) {
  for (std::uint64_t number = 1; number <= last; ++number) word = number;
}

TEST(BpfRejection, RejectedHitsAreCountedAndNotDelivered) {
  RecordingSink sink;
  watch(options_with({"new & 1"}), [] { write_numbers_to(100); }, sink);
  EXPECT_EQ(sink.hits.size(), 50U);
  EXPECT_EQ(sink.rejected, 50U);
  EXPECT_EQ(sink.lost, 0U);
}

TEST(BpfRejection, NextHitKnowsWhatARejectedOneLeft) {
  RecordingSink sink;
  watch(options_with({"new & 3 == 3"}), [] { write_numbers_to(8); }, sink);
  ASSERT_EQ(sink.hits.size(), 2U);
  for (const RecordedHit& recorded : sink.hits) {
    const Hit& hit = recorded.sample.hit;
    EXPECT_EQ(hit.old_value, (MemoryValue{hit.new_value.bits - 1, Certainty::exact}));
    EXPECT_TRUE(recorded.sample.follows_undelivered);
  }
}

TEST(BpfRejection, FirstHitIsDeliveredWhereItsOldValueWouldDecide) {
  RecordingSink sink;
  watch(
      options_with({"changed"}),
      [] {
        for (int i = 0; i < 3; ++i) word = 5;
      },
      sink);
  ASSERT_EQ(sink.hits.size(), 1U);
  EXPECT_EQ(sink.hits[0].sample.hit.old_value.certainty, Certainty::unknown);
  EXPECT_FALSE(sink.hits[0].sample.follows_undelivered);
  EXPECT_EQ(sink.rejected, 2U);
}

TEST(BpfRejection, NothingIsRejectedWithoutConditions) {
  RecordingSink sink;
  watch(options_with({}), [] { write_numbers_to(10); }, sink);
  EXPECT_EQ(sink.hits.size(), 10U);
  EXPECT_EQ(sink.rejected, 0U);
  EXPECT_FALSE(sink.hits.back().sample.follows_undelivered);
}

TEST(BpfRejection, CountsOfAllCpusAddUp) {
  constexpr std::uint64_t kWrites = 200;
  const unsigned cpus = std::thread::hardware_concurrency();
  RecordingSink sink;
  watch(
      options_with({"new & 1", "cpu < 1000"}),
      [cpus] {
        for (unsigned cpu = 0; cpu < cpus; ++cpu) {
          cpu_set_t only;
          CPU_ZERO(&only);
          CPU_SET(cpu, &only);
          ::sched_setaffinity(0, sizeof only, &only);
          write_numbers_to(kWrites);
        }
      },
      sink);
  EXPECT_EQ(sink.hits.size(), cpus * kWrites / 2);
  EXPECT_EQ(sink.rejected, cpus * kWrites / 2);
  EXPECT_EQ(sink.lost, 0U);
}

}  // namespace
}  // namespace trapline::linux_port::testing
