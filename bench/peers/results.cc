#include "bench/peers/results.h"

#include <fmt/format.h>

namespace trapline::peers {

std::optional<Spread> ratio_of(const Results& results, const ToolResult& tool) {
  if (results.tools.empty() || tool.tool.kind == Kind::floor || !tool.missing.empty())
    return std::nullopt;
  const ToolResult& floor = results.tools.front();
  if (floor.tool.kind != Kind::floor || !floor.missing.empty()) return std::nullopt;
  return spread_of(ratios(tool.slopes, floor.slopes));
}

std::string noise_of(const Results& results) {
  constexpr double kQuiet = 1.5;
  constexpr double kMicrosecond = 1000;
  if (results.tools.empty() || results.tools.front().tool.kind != Kind::floor) return "";
  const auto floor = spread_of(results.tools.front().slopes);
  if (!floor || (floor->lowest > 0 && floor->highest <= kQuiet * floor->lowest)) return "";
  return fmt::format(
      "Too much else ran on this machine for the times and ratios to be quoted: the floor itself "
      "spread from {:.1f} to "
      "{:.1f} us.",
      floor->lowest / kMicrosecond, floor->highest / kMicrosecond);
}

std::string wrong_account(const Results& results) {
  for (const ToolResult& row : results.tools) {
    if (row.tool.kind == Kind::trapline && row.missing.empty() && row.account.unaccounted() != 0) {
      return fmt::format("{}: {} writes, {} hits, {} lost", row.tool.name, row.account.writes,
                         row.account.hits, row.account.lost);
    }
  }
  for (const WritersResult& row : results.writers) {
    if (row.missing.empty() && !row.is_exact()) {
      return fmt::format("{} threads at once, {}: {} writes, {} hits, {} lost",
                         results.writers_plan.threads, row.collector, row.writes, row.hits,
                         row.lost);
    }
  }
  return "";
}

std::string describe(const Results& results) {
  const Machine& machine = results.machine;
  const RoundsPlan& plan = results.plan;
  return fmt::format(
      "{}Linux {}, {}, {} CPUs. Medians of {} rounds (lowest to highest); a hit's time is the "
      "slope of the whole "
      "command between {} and {} writes ({} and {} where stacks are copied, {} and {} for "
      "debuggers); the ratio is to "
      "the floor's slope in the same round.",
      machine.is_emulated
          ? "An emulated CPU: the figures are an emulator's and say nothing of a machine's. "
          : "",
      machine.kernel, machine.processor.empty() ? "processor not told" : machine.processor,
      machine.cpus, plan.rounds, plan.runs_on.few, plan.runs_on.many, plan.copies_stacks.few,
      plan.copies_stacks.many, plan.stops_for_each.few, plan.stops_for_each.many);
}

}  // namespace trapline::peers
