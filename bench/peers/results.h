// All that one run measured, and its three forms. Pure.
#pragma once

#include <string>
#include <vector>

#include "bench/peers/machine.h"
#include "bench/peers/rounds.h"
#include "bench/peers/threads.h"

namespace trapline::peers {

struct Results {
  Machine machine;
  RoundsPlan plan;
  std::vector<ToolResult> tools = {};  // the floor first
  AttachPlan attach_plan;
  std::vector<AttachResult> attach = {};
  WritersPlan writers_plan;
  std::vector<WritersResult> writers = {};
};

// A tool's slope by the floor's of the same round; nullopt where either was not measured, and for
// the floor itself.
[[nodiscard]] std::optional<Spread> ratio_of(const Results& results, const ToolResult& tool);
// "": the floor's own slopes lie close enough together for ratios to mean something. Else that they
// do not, in one sentence.
[[nodiscard]] std::string noise_of(const Results& results);
// "": Trapline accounts for every write. Else which row does not, in one sentence.
[[nodiscard]] std::string wrong_account(const Results& results);

// What a reader is told before the figures: the machine, the counts, what the figures are worth.
[[nodiscard]] std::string describe(const Results& results);

// Tables for people.
[[nodiscard]] std::string to_markdown(const Results& results);
// One object, its fields named as those here; what was not measured is absent.
[[nodiscard]] std::string to_json(const Results& results);
// The ratios as bars on a logarithmic scale, with their range.
[[nodiscard]] std::string to_svg(const Results& results);

}  // namespace trapline::peers
