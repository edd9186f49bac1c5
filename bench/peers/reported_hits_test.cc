// What the tools printed is taken from real runs in Debian 12: perf 6.1, bpftrace 0.17, gdb 13,
// lldb 14.
#include "bench/peers/reported_hits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trapline::peers {
namespace {

using ::testing::HasSubstr;

TEST(PerfStat, CountIsTheFirstField) {
  const auto reported = from_perf_stat(
      "# started on Thu Nov 26 04:00:06 2026\n"
      "\n"
      "500,,mem:0x406000,47944131,100.00,,\n");
  ASSERT_TRUE(reported);
  EXPECT_EQ(*reported, (ReportedHits{500, std::nullopt}));
}

TEST(PerfStat, EventThatWasNotCountedIsAnError) {
  const auto reported = from_perf_stat("<not supported>,,mem:0x406000,0,100.00,,\n");
  ASSERT_FALSE(reported);
  EXPECT_THAT(reported.error().message, HasSubstr("<not supported>"));
  EXPECT_FALSE(from_perf_stat(""));
}

constexpr std::string_view kPerfReport = R"(
Aggregated stats:
           TOTAL events:        196
            MMAP events:          1  ( 0.5%)
            LOST events:          4  ( 2.0%)
          SAMPLE events:        157  (79.1%)
    LOST_SAMPLES events:          1  ( 0.5%)
mem:0x406000 stats:
          SAMPLE events:        155
    LOST_SAMPLES events:       4845
)";

TEST(PerfReport, SamplesAndLossesAreThoseOfTheEvent) {
  const auto reported = from_perf_report(kPerfReport);
  ASSERT_TRUE(reported);
  EXPECT_EQ(*reported, (ReportedHits{155, 4845}));
}

TEST(PerfReport, WithoutTheLineNothingIsSaidOfLosses) {
  const auto reported = from_perf_report(kPerfReport.substr(0, kPerfReport.rfind("    LOST")));
  ASSERT_TRUE(reported);
  EXPECT_EQ(*reported, (ReportedHits{155, std::nullopt}));
}

TEST(PerfReport, FileWithoutTheEventIsAnError) {
  EXPECT_FALSE(from_perf_report("Aggregated stats:\n          SAMPLE events:        157\n"));
}

TEST(Bpftrace, CountsOfAllStacksAreAdded) {
  EXPECT_EQ(from_bpftrace_counts("@[\n    0x401145\n    0x7f3f993c524a\n]: 500\n"
                                 "@[\n    bump+13\n]: 7\n"),
            (ReportedHits{507, 0}));
}

TEST(Bpftrace, LinesThatAreAValueAreCounted) {
  EXPECT_EQ(from_bpftrace_values("1\n-2\nLost 12 events\n3\n\nLost 5 events\n"),
            (ReportedHits{2, 17}));
}

TEST(Gdb, EachStopIsAHit) {
  EXPECT_EQ(from_gdb("Hardware watchpoint 2: counter\n\n"
                     "Hardware watchpoint 2: counter\n\nOld value = 0\nNew value = 1\n"
                     "Hardware watchpoint 2: counter\n\nOld value = 1\nNew value = 2\n"),
            (ReportedHits{2, std::nullopt}));
}

TEST(Lldb, EachTimeThatItWentOnIsAHit) {
  EXPECT_EQ(from_lldb("Watchpoint created: Watchpoint 1: addr = 0x00406000\n"
                      "    new value: 0\n"
                      "Process 124 resuming\nCommand #1 'continue' continued the target.\n"
                      "Process 124 resuming\nCommand #1 'continue' continued the target.\n"),
            (ReportedHits{2, std::nullopt}));
}

Result<ReportedHits> from_records(std::string_view text, std::size_t piece) {
  TraplineRecords records;
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size())))
    records.add(text.substr(0, piece));
  return records.finish();
}

constexpr std::string_view kRecords =
    "{\"type\":\"start\",\"version\":1}\n"
    "{\"type\":\"hit\",\"new\":1}\n"
    "{\"type\":\"lost\",\"count\":3}\n"
    "{\"type\":\"hit\",\"new\":5}\n"
    "{\"type\":\"end\",\"hits\":2,\"lost\":3,\"filtered\":40}\n";

TEST(TraplineRecords, PiecesOfAnySizeGiveTheSame) {
  for (std::size_t piece = 1; piece <= kRecords.size(); ++piece) {
    const auto reported = from_records(kRecords, piece);
    ASSERT_TRUE(reported) << piece;
    // Rejected hits were seen, too.
    EXPECT_EQ(*reported, (ReportedHits{42, 3})) << piece;
  }
}

TEST(TraplineRecords, SummaryHasNoHitRecords) {
  const auto reported =
      from_records("{\"type\":\"summary\"}\n{\"type\":\"end\",\"hits\":9,\"lost\":0}\n", 9);
  ASSERT_TRUE(reported);
  EXPECT_EQ(*reported, (ReportedHits{9, 0}));
}

TEST(TraplineRecords, OutputThatIsCutOffIsAnError) {
  EXPECT_FALSE(from_records("", 1));
  EXPECT_FALSE(from_records(kRecords.substr(0, kRecords.rfind("{\"type\":\"end\"")), 100));
  EXPECT_FALSE(from_records(kRecords.substr(0, kRecords.size() - 5), 100));
}

TEST(TraplineRecords, EndThatCountsOtherHitsThanAreThereIsAnError) {
  const auto reported = from_records("{\"type\":\"hit\"}\n{\"type\":\"end\",\"hits\":2}\n", 100);
  ASSERT_FALSE(reported);
  EXPECT_EQ(reported.error().message, "trapline wrote 1 hits and says 2");
}

TEST(TraplineRecords, LossesThatCouldNotBeCountedAreAnError) {
  EXPECT_FALSE(from_records(R"({"type":"end","hits":2,"lost":1,"lost_is_lower_bound":true})"
                            "\n",
                            100));
}

}  // namespace
}  // namespace trapline::peers
