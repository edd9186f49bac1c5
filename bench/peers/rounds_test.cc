#include "bench/peers/rounds.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace trapline::peers {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A machine on which starting a tool takes a second and each hit what the table says.
class FakeRunner final : public Runner {
 public:
  Result<Run> run(const Tool& tool, std::uint64_t writes) override {
    calls.push_back(fmt::format("{} {}", tool.name, writes));
    if (fails_at == calls.size()) return fail(ErrorCode::os_failure, "it broke");
    const std::uint64_t missed = misses[tool.name];
    constexpr std::uint64_t kStart = 1'000'000'000;
    return Run{{kStart + writes * hit_cost[tool.name]}, {writes - missed, said_lost[tool.name]}};
  }

  std::vector<std::string> calls;
  std::size_t fails_at = 0;  // counted from 1
  std::map<std::string_view, std::uint64_t> hit_cost;
  std::map<std::string_view, std::uint64_t> misses;
  std::map<std::string_view, std::optional<std::uint64_t>> said_lost;
};

Tool tool_named(std::string_view name, Pace pace = Pace::runs_on) {
  return {.name = name, .pace = pace};
}

constexpr RoundsPlan kPlan{
    .rounds = 2, .runs_on = {10, 20}, .copies_stacks = {3, 4}, .stops_for_each = {1, 2}};

void ignore(std::size_t) {}

TEST(Rounds, InterleaveTheToolsAndTurnAround) {
  FakeRunner runner;
  const Tool tools[] = {tool_named("a"), tool_named("b")};
  (void)measure(tools, kPlan, runner, ignore);
  EXPECT_THAT(runner.calls, ElementsAre("a 10", "b 10",                  // tried out
                                        "a 10", "a 20", "b 10", "b 20",  // round 0
                                        "b 10", "b 20", "a 10", "a 20"));
}

TEST(Rounds, EachPaceHasItsOwnCounts) {
  FakeRunner runner;
  const Tool tools[] = {tool_named("a", Pace::copies_stacks),
                        tool_named("b", Pace::stops_for_each)};
  RoundsPlan plan = kPlan;
  plan.rounds = 1;
  (void)measure(tools, plan, runner, ignore);
  EXPECT_THAT(runner.calls, ElementsAre("a 3", "b 1", "a 3", "a 4", "b 1", "b 2"));
}

TEST(Rounds, SlopeIsTheCostOfAHit) {
  FakeRunner runner;
  runner.hit_cost["a"] = 12;
  const Tool tools[] = {tool_named("a")};
  EXPECT_THAT(measure(tools, kPlan, runner, ignore).front().slopes, ElementsAre(12, 12));
}

TEST(Rounds, AccountAddsUpAllRuns) {
  FakeRunner runner;
  runner.misses["a"] = 3;
  runner.said_lost["a"] = 2;
  const Tool tools[] = {tool_named("a")};
  const Account account = measure(tools, kPlan, runner, ignore).front().account;
  EXPECT_EQ(account.writes, 10U + 2 * 30);
  EXPECT_EQ(account.hits, 10U + 2 * 30 - 5 * 3);
  EXPECT_EQ(account.lost, 5U * 2);
  EXPECT_EQ(account.unaccounted(), 5);
}

TEST(Rounds, MoreHitsThanWritesIsANegativeRest) {
  EXPECT_EQ((Account{.writes = 5, .hits = 6, .lost = 1}.unaccounted()), -2);
}

TEST(Rounds, ToolThatSeesNothingIsMissingWithTheReason) {
  FakeRunner runner;
  runner.misses["a"] = 10;
  const Tool tools[] = {tool_named("a"), tool_named("b")};
  const auto results = measure(tools, kPlan, runner, ignore);
  EXPECT_EQ(results[0].missing, "it saw none of 10 writes");
  EXPECT_THAT(results[0].slopes, IsEmpty());
  EXPECT_EQ(results[1].missing, "");
  EXPECT_EQ(std::ranges::count(runner.calls, "a 10"), 1);
}

TEST(Rounds, ToolThatFailsLaterIsNotRunAgain) {
  FakeRunner runner;
  runner.fails_at = 4;  // "a 20" of round 0
  const Tool tools[] = {tool_named("a"), tool_named("b")};
  const auto results = measure(tools, kPlan, runner, ignore);
  EXPECT_EQ(results[0].missing, "it broke");
  EXPECT_THAT(runner.calls,
              ElementsAre("a 10", "b 10", "a 10", "a 20", "b 10", "b 20", "b 10", "b 20"));
}

TEST(Rounds, EachIsAnnounced) {
  FakeRunner runner;
  std::vector<std::size_t> told;
  (void)measure({}, kPlan, runner, [&](std::size_t round) { told.push_back(round); });
  EXPECT_THAT(told, ElementsAre(0, 1));
}

}  // namespace
}  // namespace trapline::peers
