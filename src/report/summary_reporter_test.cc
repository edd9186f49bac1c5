#include "report/summary_reporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "report/test_support.h"

namespace trapline::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;
using Format = SummaryReporter::Format;

class SummaryReporterTest : public ::testing::Test {
 protected:
  void begin(Format format, std::size_t max_stacks = SummaryReporter::kMaxStacks,
             const WatchStart& start = sample_start()) {
    reporter_.emplace(records_, remarks_, format, max_stacks);
    ASSERT_TRUE(reporter_->start(start));
  }
  // `from`: which of many stacks, all different.
  void report(std::uint64_t from, std::int64_t new_value = 42, std::int32_t tid = 11) {
    SampleHit sample;
    sample.ip = RemoteAddress(0x401000 + from);
    sample.stack.id = from;
    sample.stack.frames[0].ip = *sample.ip;
    sample.stack.frames[0].line = static_cast<std::uint32_t>(from);
    sample.hit.new_value.bits = static_cast<std::uint64_t>(new_value);
    sample.hit.tid = ThreadId{tid};
    sample.hit.time = Nanoseconds{time_ += 1'000'000};
    ASSERT_TRUE(reporter_->hit(sample.view()));
  }
  // By a hit that is not counted.
  void open_tally(std::uint64_t number) {
    SampleHit sample;
    sample.hit.new_value.bits = 99;
    HitView view = sample.view();
    view.tally = number;
    ASSERT_TRUE(reporter_->open_tally(view));
  }
  // Five hits that are only counted; sample hits are earlier and on another CPU.
  static TallyView five_under(std::uint64_t number) {
    TallyView tally{.number = number,
                    .count = 5,
                    .first = Nanoseconds{1'600'000'000},
                    .last = Nanoseconds{1'700'000'000},
                    .lowest = {7, Certainty::exact},
                    .highest = {50, Certainty::exact}};
    tally.cpus.insert(CpuId{0});
    return tally;
  }
  std::string end() {
    EXPECT_TRUE(reporter_->end(sample_end()));
    return records_file_.text();
  }
  std::vector<Json> json_end() {
    std::vector<Json> rows;
    std::istringstream lines(end());
    for (std::string line; std::getline(lines, line);) {
      Json record = Json::parse(line);
      if (record["type"] == "summary") rows.push_back(std::move(record));
    }
    return rows;
  }

  MemoryFile records_file_;
  MemoryFile remarks_file_;
  Output records_ = Output::borrow(records_file_.descriptor(), "hits");
  Output remarks_ = Output::borrow(remarks_file_.descriptor(), "remarks");
  std::optional<SummaryReporter> reporter_;
  std::uint64_t time_ = 1'000'000'000;
};

TEST_F(SummaryReporterTest, TextTableIsSortedByCountWithSharesRangesAndCallers) {
  begin(Format::text);
  report(7, -5);
  report(8, 1, 11);
  report(8, 300, 12);
  report(8, 20, 11);
  EXPECT_EQ(
      end(),
      "         3   75.0%  bump+0xc at app.c:8  [mov dword ptr [rip + 0x2ef2], eax]\n"
      "                    by 2 threads on 1 CPU, from 0.002000 s to 0.004000 s, new values from 1 "
      "to 300\n"
      "                    from worker+0x20 at app.c:60\n"
      "         1   25.0%  bump+0xc at app.c:7  [mov dword ptr [rip + 0x2ef2], eax]\n"
      "                    by 1 thread on 1 CPU, from 0.001000 s to 0.001000 s, new values from -5 "
      "to -5\n"
      "                    from worker+0x20 at app.c:60\n");
  EXPECT_THAT(remarks_file_.text(), HasSubstr("watching writes of counter"));
  EXPECT_THAT(remarks_file_.text(), HasSubstr("100 hits, 0 lost in 1.000 s: interrupted\n"));
}

TEST_F(SummaryReporterTest, NoLineIsWrittenPerHit) {
  begin(Format::text);
  for (int i = 0; i < 1000; ++i) report(7);
  ASSERT_TRUE(reporter_->flush());
  EXPECT_EQ(records_file_.text(), "");
}

TEST_F(SummaryReporterTest, JsonRowHasTheSameFacts) {
  begin(Format::json);
  report(7, 1, 11);
  report(7, 300, 12);
  const auto rows = json_end();
  ASSERT_EQ(rows.size(), 1U);
  const Json& row = rows[0];
  EXPECT_EQ(row["count"], 2);
  EXPECT_EQ(row["first_ns"], 1'001'000'000);
  EXPECT_EQ(row["last_ns"], 1'002'000'000);
  EXPECT_EQ(row["threads"], 2);
  EXPECT_EQ(row["cpus"], Json::array({1}));
  EXPECT_FALSE(row.contains("more_threads"));
  EXPECT_EQ(row["ip"], "0x401007");
  EXPECT_EQ(row["symbol"], "bump");
  EXPECT_EQ(row["line"], 7);
  EXPECT_EQ(row["lowest"], 1);
  EXPECT_EQ(row["highest"], 300);
  EXPECT_FALSE(row.contains("approximate"));
  EXPECT_EQ(row["stack"].size(), 2U);
}

TEST_F(SummaryReporterTest, OneStackUnderTwoIdsIsOneRow) {
  // The table of stacks started afresh: the same addresses came back under a new id.
  begin(Format::json);
  SampleHit sample;
  ASSERT_TRUE(reporter_->hit(sample.view()));
  sample.stack.id = 99;
  ASSERT_TRUE(reporter_->hit(sample.view()));
  const auto rows = json_end();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0]["count"], 2);
}

TEST_F(SummaryReporterTest, InlinedFramesAtOneAddressAreToldApart) {
  begin(Format::json);
  SampleHit sample;
  sample.stack.frames[0].inlined = true;
  ASSERT_TRUE(reporter_->hit(sample.view()));
  sample.stack.id = 2;
  sample.stack.frames[0].symbol = "bump_twice";
  ASSERT_TRUE(reporter_->hit(sample.view()));
  EXPECT_EQ(json_end().size(), 2U);
}

TEST_F(SummaryReporterTest, ProgramsAtOneAddressAreToldApart) {
  begin(Format::json);
  SampleHit sample;
  sample.stack.frames = {{*sample.ip, "", 0, "", 0, "app", false}};
  ASSERT_TRUE(reporter_->hit(sample.view()));
  sample.stack.id = 2;
  sample.stack.frames[0].module = "rival";
  ASSERT_TRUE(reporter_->hit(sample.view()));
  EXPECT_EQ(json_end().size(), 2U);
}

TEST_F(SummaryReporterTest, StacksBeyondTheLimitAreCountedTogether) {
  begin(Format::text, 2);
  for (std::uint64_t from = 1; from <= 5; ++from) report(from);
  report(1);
  const std::string text = end();
  EXPECT_THAT(text, HasSubstr("         2   33.3%  bump+0xc at app.c:1"));
  EXPECT_THAT(text, HasSubstr("         1   16.7%  bump+0xc at app.c:2"));
  EXPECT_THAT(text, Not(HasSubstr("app.c:3")));
  EXPECT_THAT(text, HasSubstr("         3   50.0%  other stacks (the table holds 2)\n"));
}

TEST_F(SummaryReporterTest, StacksBeyondTheLimitAreOneRowInJson) {
  begin(Format::json, 1);
  for (std::uint64_t from = 1; from <= 4; ++from) report(from);
  const auto rows = json_end();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[1], Json::parse(R"({"type":"summary","count":3,"other":true})"));
}

TEST_F(SummaryReporterTest, ThreadsAreCountedUpToALimitThatIsTold) {
  begin(Format::json);
  for (std::int32_t tid = 1; tid <= 300; ++tid) report(7, 42, tid);
  const auto rows = json_end();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0]["count"], 300);
  EXPECT_EQ(rows[0]["threads"], ThreadCount::kLimit);
  EXPECT_EQ(rows[0]["more_threads"], true);
}

TEST_F(SummaryReporterTest, RangeLeavesOutUnknownValuesAndMarksApproximateOnes) {
  begin(Format::json);
  SampleHit sample;
  sample.hit.new_value = {};
  ASSERT_TRUE(reporter_->hit(sample.view()));
  sample.hit.new_value = {5, Certainty::approximate};
  ASSERT_TRUE(reporter_->hit(sample.view()));
  sample.hit.new_value = {9, Certainty::exact};
  ASSERT_TRUE(reporter_->hit(sample.view()));
  const auto rows = json_end();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0]["lowest"], 5);
  EXPECT_EQ(rows[0]["highest"], 9);
  EXPECT_EQ(rows[0]["approximate"], Json::parse(R"(["lowest"])"));
}

TEST_F(SummaryReporterTest, BytesHaveNoRange) {
  WatchStart start = sample_start();
  start.type = {symbols::ValueKind::bytes, ByteCount{4}, "", false};
  begin(Format::json, 10, start);
  report(7);
  const auto rows = json_end();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_FALSE(rows[0].contains("lowest"));
}

TEST_F(SummaryReporterTest, HitsOutOfOrderKeepTheEarliestAndLatestTime) {
  begin(Format::json);
  SampleHit sample;
  for (const std::uint64_t time : {2'000U, 1'000U, 3'000U}) {
    sample.hit.time = Nanoseconds{time};
    ASSERT_TRUE(reporter_->hit(sample.view()));
  }
  const auto rows = json_end();
  EXPECT_EQ(rows[0]["first_ns"], 1'000);
  EXPECT_EQ(rows[0]["last_ns"], 3'000);
}

TEST_F(SummaryReporterTest, TalliesAddToTheRowOfTheHitThatOpenedThem) {
  begin(Format::json);
  SampleHit sample;
  sample.hit.new_value.bits = 42;
  HitView view = sample.view();
  view.tally = 3;
  ASSERT_TRUE(reporter_->hit(view));
  TallyView tally = five_under(3);
  ASSERT_TRUE(reporter_->tally(tally));
  tally.count = 4;
  tally.last = Nanoseconds{1'800'000'000};
  tally.is_last = true;
  ASSERT_TRUE(reporter_->tally(tally));
  // Nobody knows it any more.
  ASSERT_TRUE(reporter_->tally(tally));
  const auto rows = json_end();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0]["count"], 10);
  EXPECT_EQ(rows[0]["first_ns"], 1'500'000'000);
  EXPECT_EQ(rows[0]["last_ns"], 1'800'000'000);
  EXPECT_EQ(rows[0]["cpus"], Json::array({0, 1}));
  EXPECT_EQ(rows[0]["lowest"], 7);
  EXPECT_EQ(rows[0]["highest"], 50);
}

TEST_F(SummaryReporterTest, HitThatOnlyOpensATallyIsNotCounted) {
  begin(Format::json);
  open_tally(3);
  ASSERT_TRUE(reporter_->tally(five_under(3)));
  const auto rows = json_end();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0]["count"], 5);
  EXPECT_EQ(rows[0]["symbol"], "bump");
  EXPECT_EQ(rows[0]["threads"], 1);
  EXPECT_EQ(rows[0]["first_ns"], 1'600'000'000);
  EXPECT_EQ(rows[0]["cpus"], Json::array({0}));
  EXPECT_EQ(rows[0]["highest"], 50);
}

TEST_F(SummaryReporterTest, TallyThatCountedNothingIsNoRow) {
  begin(Format::text);
  open_tally(3);
  EXPECT_EQ(end(), "");
}

TEST_F(SummaryReporterTest, TimesCountFromAHitThatOnlyOpensATally) {
  WatchStart start = sample_start();
  start.began.reset();
  begin(Format::text, SummaryReporter::kMaxStacks, start);
  open_tally(3);
  ASSERT_TRUE(reporter_->tally(five_under(3)));
  EXPECT_THAT(end(), HasSubstr("from 0.100000 s to 0.200000 s"));
}

TEST_F(SummaryReporterTest, TalliesOfStacksWithoutARowAreOthers) {
  begin(Format::json, 1);
  report(1);
  SampleHit sample;
  sample.stack.id = 2;
  sample.stack.frames[0].ip = RemoteAddress(0x999);
  HitView view = sample.view();
  view.tally = 1;
  ASSERT_TRUE(reporter_->hit(view));
  ASSERT_TRUE(reporter_->tally({.number = 1, .count = 5}));
  const auto rows = json_end();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[1]["count"], 6);
  EXPECT_EQ(rows[1]["other"], true);
}

TEST_F(SummaryReporterTest, ATerminalSeesWhatThereIsSoFar) {
  Nanoseconds now{2'000'000'000};
  reporter_.emplace(records_, remarks_, Format::text);
  reporter_->show_on({.now = [&] { return now; }, .columns = [] { return std::size_t{100}; }});
  ASSERT_TRUE(reporter_->start(sample_start()));
  report(1);
  ASSERT_TRUE(reporter_->flush());
  EXPECT_THAT(remarks_file_.text(), Not(HasSubstr("hits in")));
  now = Nanoseconds{3'000'000'000};
  ASSERT_TRUE(reporter_->flush());
  EXPECT_THAT(remarks_file_.text(), HasSubstr("1 hits in 1 s, 1/s; 1 stack, 1 CPU\n"));
  EXPECT_THAT(remarks_file_.text(), Not(HasSubstr("\x1b[")));
  end();
  EXPECT_THAT(remarks_file_.text(), HasSubstr("\x1b[2A\x1b[J"));
}

TEST_F(SummaryReporterTest, TextTellsOfCpusInItsTotalsAndAtOnceOnlyIfOneCannotBeWatched) {
  begin(Format::text);
  ASSERT_TRUE(reporter_->cpu(sample_offline()));
  ASSERT_TRUE(reporter_->cpu(sample_online()));
  EXPECT_THAT(remarks_file_.text(), Not(HasSubstr("cpu 1")));
  ASSERT_TRUE(reporter_->cpu(sample_unwatched()));
  EXPECT_THAT(remarks_file_.text(), HasSubstr("    0.700000  cpu 1 is online and not watched"));
  WatchEnd totals = sample_end();
  totals.cpu_changes = 1;
  totals.gap = Nanoseconds{812'000};
  ASSERT_TRUE(reporter_->end(totals));
  EXPECT_THAT(remarks_file_.text(), HasSubstr("100 hits, 0 lost, 1 CPU change, unwatched for at "
                                              "most 0.812 ms in 1.000 s: interrupted\n"));
}

TEST_F(SummaryReporterTest, JsonHasEveryCpuEvent) {
  begin(Format::json);
  ASSERT_TRUE(reporter_->cpu(sample_offline()));
  ASSERT_TRUE(reporter_->cpu(sample_online()));
  ASSERT_TRUE(reporter_->flush());
  EXPECT_THAT(records_file_.text(),
              HasSubstr(R"({"type":"cpu","time_ns":1600000000,"cpu":1,"event":"offline"})"));
  EXPECT_THAT(records_file_.text(), HasSubstr(R"("gap_ns":812000,"reinstall_ns":640000})"));
}

TEST_F(SummaryReporterTest, NoHitMakesAnEmptyTable) {
  begin(Format::text);
  EXPECT_EQ(end(), "");
  EXPECT_THAT(remarks_file_.text(), HasSubstr("interrupted"));
}

TEST_F(SummaryReporterTest, FullDiskIsReturned) {
  auto full = Output::create("/dev/full");
  ASSERT_TRUE(full);
  SummaryReporter reporter(*full, remarks_, Format::text);
  ASSERT_TRUE(reporter.start(sample_start()));
  const SampleHit sample;
  ASSERT_TRUE(reporter.hit(sample.view()));
  const auto ended = reporter.end(sample_end());
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().error.os_errno, ENOSPC);
}

}  // namespace
}  // namespace trapline::report
