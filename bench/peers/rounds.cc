#include "bench/peers/rounds.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "bench/peers/spread.h"

namespace trapline::peers {
namespace {

// One run, entered into the account; nullopt: the tool is missing from now on.
std::optional<Nanoseconds> run_once(ToolResult& result, std::uint64_t writes, Runner& runner) {
  const Result<Run> run = runner.run(result.tool, writes);
  if (!run) {
    result.missing = run.error().message;
    return std::nullopt;
  }
  result.account.writes += writes;
  result.account.hits += run->reported.hits;
  result.account.lost += run->reported.lost.value_or(0);
  return run->wall;
}

void try_out(ToolResult& result, const RoundsPlan& plan, Runner& runner) {
  const std::uint64_t writes = plan.counts_of(result.tool.pace).few;
  if (!run_once(result, writes, runner)) return;
  if (result.account.hits == 0) result.missing = fmt::format("it saw none of {} writes", writes);
}

void measure_once(ToolResult& result, const RoundsPlan& plan, Runner& runner) {
  if (!result.missing.empty()) return;
  const auto& [few, many] = plan.counts_of(result.tool.pace);
  const auto few_time = run_once(result, few, runner);
  if (!few_time) return;
  const auto many_time = run_once(result, many, runner);
  if (!many_time) return;
  result.slopes.push_back(Slope{few, many, *few_time, *many_time}.nanoseconds_each());
}

}  // namespace

const WriteCounts& RoundsPlan::counts_of(Pace pace) const {
  switch (pace) {
    case Pace::runs_on:
      return runs_on;
    case Pace::copies_stacks:
      return copies_stacks;
    case Pace::stops_for_each:
      break;
  }
  return stops_for_each;
}

std::vector<ToolResult> measure(std::span<const Tool> tools, const RoundsPlan& plan, Runner& runner,
                                const std::function<void(std::size_t)>& before_round) {
  std::vector<ToolResult> results;
  for (const Tool& tool : tools)
    try_out(results.emplace_back(ToolResult{tool, {}, {}, {}}), plan, runner);
  std::vector<ToolResult*> order;
  for (ToolResult& result : results) order.push_back(&result);
  for (std::size_t round = 0; round < plan.rounds; ++round) {
    before_round(round);
    for (ToolResult* result : order) measure_once(*result, plan, runner);
    std::ranges::reverse(order);
  }
  return results;
}

}  // namespace trapline::peers
