#include "report/live_summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "report/test_support.h"

namespace trapline::report {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr Nanoseconds kBegan{1'000'000'000};
constexpr std::size_t kWide = 200;

Nanoseconds at(double seconds) {
  return Nanoseconds{kBegan.value + static_cast<std::uint64_t>(seconds * 1e9)};
}

class LiveSummaryTest : public ::testing::Test {
 protected:
  // `from`: which of many places, all different.
  void hit(std::uint64_t from, std::uint32_t cpu = 0) {
    SampleHit sample;
    sample.stack.id = from;
    sample.ip = RemoteAddress(0x401000 + from);
    sample.stack.frames[0].ip = *sample.ip;
    sample.stack.frames[0].line = static_cast<std::uint32_t>(from);
    sample.hit.cpu = CpuId{cpu};
    table_.add(sample.view());
  }
  void hits(std::uint64_t from, int count) {
    for (int i = 0; i < count; ++i) hit(from);
  }
  std::string draw(double seconds, std::size_t columns = kWide) {
    fmt::memory_buffer buffer;
    live_.draw(buffer, table_, at(seconds), columns);
    return to_string(buffer);
  }

  SummaryTable table_{100};
  LiveSummary live_{kBegan};
};

TEST_F(LiveSummaryTest, IsDueOnceASecond) {
  EXPECT_FALSE(live_.is_due(at(0.9)));
  EXPECT_TRUE(live_.is_due(at(1)));
  draw(1.5);
  EXPECT_FALSE(live_.is_due(at(2)));
  EXPECT_TRUE(live_.is_due(at(2.5)));
}

TEST_F(LiveSummaryTest, TellsHowManyHowFastAndWho) {
  hits(7, 30);
  hit(8, 1);
  const std::string first = draw(2);
  EXPECT_THAT(first, StartsWith("        31 hits in 2 s, 16/s; 2 stacks, 2 CPUs\n"));
  EXPECT_THAT(first, HasSubstr("        30   96.8%  15/s  bump"));
  EXPECT_THAT(first, HasSubstr("app.c:7\n"));
  EXPECT_LT(first.find("app.c:7"), first.find("app.c:8"));
}

TEST_F(LiveSummaryTest, RatesAreOfWhatIsNew) {
  hits(7, 30);
  draw(1);
  hits(7, 10);
  EXPECT_THAT(draw(3), HasSubstr("40 hits in 3 s, 5/s"));
}

TEST_F(LiveSummaryTest, IsDrawnOverTheOneBefore) {
  hit(7);
  EXPECT_THAT(draw(1), Not(HasSubstr("\x1b")));
  hit(8);
  EXPECT_THAT(draw(2), StartsWith("\x1b[2A\x1b[J"));
  fmt::memory_buffer buffer;
  live_.erase(buffer);
  EXPECT_EQ(to_string(buffer), "\x1b[3A\x1b[J");
  buffer.clear();
  live_.erase(buffer);
  EXPECT_EQ(to_string(buffer), "");
}

TEST_F(LiveSummaryTest, ShowsTheTopAndFitsTheTerminal) {
  for (std::uint64_t from = 1; from <= 20; ++from) hits(from, static_cast<int>(from));
  const std::string drawn = draw(1, 30);
  EXPECT_EQ(std::count(drawn.begin(), drawn.end(), '\n'), 1 + LiveSummary::kRows);
  EXPECT_THAT(drawn, StartsWith("       210 hits in 1 s, 210/s;\n"));
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = drawn.find('\n', begin)) != std::string::npos; begin = end + 1)
    EXPECT_LE(end - begin, 30U);
}

TEST_F(LiveSummaryTest, NoCharacterIsCutInHalf) {
  SampleHit sample;
  sample.stack.frames[0].symbol = "größe";
  table_.add(sample.view());
  for (std::size_t columns = 20; columns < 40; ++columns) {
    const std::string drawn = draw(1, columns);
    EXPECT_THAT(drawn, Not(HasSubstr("\xc3\n"))) << columns;
    EXPECT_THAT(drawn, EndsWith("\n"));
  }
}

}  // namespace
}  // namespace trapline::report
