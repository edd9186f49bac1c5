#include "tools/trapline/watch/watch_session.h"

#include <gtest/gtest.h>

#include <vector>

namespace trapline::command {
namespace {

class RecordingReporter final : public report::Reporter {
 public:
  Result<void> start(const report::WatchStart&) override { return {}; }
  Result<void> hit(const report::HitView&) override { return {}; }
  Result<void> lost(std::uint64_t) override { return {}; }
  Result<void> cpu(const report::CpuEventView&) override { return {}; }
  Result<void> end(const report::WatchEnd& end) override {
    ends.push_back(end);
    return {};
  }
  Result<void> flush() override { return {}; }

  std::vector<report::WatchEnd> ends;
};

report::WatchEnd seven_hits() {
  report::WatchEnd end;
  end.hits = 7;
  return end;
}

TEST(ReportEnd, OfAWatchThatEndedTellsWhy) {
  RecordingReporter reporter;
  EXPECT_TRUE(report_end(reporter, seven_hits(), std::string("interrupted")));
  ASSERT_EQ(reporter.ends.size(), 1U);
  EXPECT_EQ(reporter.ends[0].reason, "interrupted");
}

TEST(ReportEnd, OfAWatchThatFailedTellsTheFailureAndReturnsIt) {
  RecordingReporter reporter;
  const auto written =
      report_end(reporter, seven_hits(), fail(ErrorCode::no_free_slot, "no register is free"));
  ASSERT_EQ(reporter.ends.size(), 1U);
  EXPECT_EQ(reporter.ends[0].hits, 7U);
  EXPECT_EQ(reporter.ends[0].reason, "no register is free");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().error.code, ErrorCode::no_free_slot);
}

TEST(ReportEnd, WritesNothingWhereTheOutputFailed) {
  RecordingReporter reporter;
  const auto written =
      report_end(reporter, seven_hits(), fail(ErrorCode::output_failed, "the disk is full"));
  EXPECT_TRUE(reporter.ends.empty());
  EXPECT_FALSE(written);
}

}  // namespace
}  // namespace trapline::command
