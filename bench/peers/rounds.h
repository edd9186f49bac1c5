// The measurement of one hit's cost: every tool at two sizes, several rounds. Pure over a Runner.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/failure.h"
#include "bench/peers/reported_hits.h"
#include "bench/peers/tool_table.h"
#include "trapline/base/units.h"

namespace trapline::peers {

struct Run {
  Nanoseconds wall;  // of the whole command
  ReportedHits reported;
};

class Runner {
 public:
  Runner() = default;
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  virtual ~Runner() = default;

  // The tool on a target that writes so often. An error says why it cannot be measured here.
  [[nodiscard]] virtual Result<Run> run(const Tool& tool, std::uint64_t writes) = 0;
};

struct WriteCounts {
  std::uint64_t few = 0;  // less than many
  std::uint64_t many = 0;
};

struct RoundsPlan {
  std::size_t rounds = 0;
  WriteCounts runs_on;
  WriteCounts copies_stacks;
  WriteCounts stops_for_each;

  [[nodiscard]] const WriteCounts& counts_of(Pace pace) const;
};

// What was written in all runs of a tool, and what it told of it.
struct Account {
  std::uint64_t writes = 0;
  std::uint64_t hits = 0;
  std::uint64_t lost = 0;  // by its own word

  // Neither seen nor said to be lost; negative: more was seen than written.
  [[nodiscard]] std::int64_t unaccounted() const {
    return static_cast<std::int64_t>(writes) - static_cast<std::int64_t>(hits + lost);
  }
};

struct ToolResult {
  Tool tool;
  std::vector<double> slopes;  // nanoseconds for one hit, one for each round
  Account account;
  std::string missing;  // why it was not measured; "": it was
};

// First every tool runs once, untimed: one that fails, or sees nothing, is missing from then on, as
// is one that fails later. Then each round runs every tool, so that drift of the machine hits all
// alike; every other round in the reverse order, so that what follows what changes. `before_round`
// is told the round, from 0 on.
[[nodiscard]] std::vector<ToolResult> measure(std::span<const Tool> tools, const RoundsPlan& plan,
                                              Runner& runner,
                                              const std::function<void(std::size_t)>& before_round);

}  // namespace trapline::peers
