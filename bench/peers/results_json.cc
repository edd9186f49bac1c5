// The report as one JSON object.
#include <nlohmann/json.hpp>

#include "bench/peers/results.h"

namespace trapline::peers {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kIndent = 2;

Json spread_record(const Spread& spread) {
  return {{"lowest", spread.lowest}, {"median", spread.median}, {"highest", spread.highest}};
}

Json counts_record(const WriteCounts& counts) {
  return Json::array({counts.few, counts.many});
}

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::floor:
      return "floor";
    case Kind::peer:
      return "peer";
    case Kind::trapline:
      break;
  }
  return "trapline";
}

Json record_of(const Results& results, const ToolResult& row) {
  Json record = {{"name", row.tool.name}, {"kind", name_of(row.tool.kind)}};
  if (!row.missing.empty()) {
    record["missing"] = row.missing;
    return record;
  }
  record["slopes_ns"] = row.slopes;
  if (const auto spread = spread_of(row.slopes)) record["ns_per_hit"] = spread_record(*spread);
  if (const auto ratio = ratio_of(results, row)) record["ratio"] = spread_record(*ratio);
  if (row.tool.goal) record["goal"] = *row.tool.goal;
  record["writes"] = row.account.writes;
  record["hits"] = row.account.hits;
  record["lost"] = row.account.lost;
  record["unaccounted"] = row.account.unaccounted();
  return record;
}

Json record_of(const AttachResult& row) {
  Json record = {{"collector", row.collector}};
  if (!row.missing.empty()) record["missing"] = row.missing;
  if (row.milliseconds) record["ms"] = spread_record(*row.milliseconds);
  return record;
}

Json record_of(const WritersResult& row) {
  if (!row.missing.empty()) return {{"collector", row.collector}, {"missing", row.missing}};
  return {{"collector", row.collector},
          {"writes", row.writes},
          {"hits", row.hits},
          {"lost", row.lost},
          {"exact", row.is_exact()}};
}

}  // namespace

std::string to_json(const Results& results) {
  const Machine& machine = results.machine;
  Json report = {{"machine",
                  {{"kernel", machine.kernel},
                   {"processor", machine.processor},
                   {"cpus", machine.cpus},
                   {"emulated", machine.is_emulated}}},
                 {"rounds", results.plan.rounds},
                 {"writes",
                  {{"runs_on", counts_record(results.plan.runs_on)},
                   {"copies_stacks", counts_record(results.plan.copies_stacks)},
                   {"stops_for_each", counts_record(results.plan.stops_for_each)}}},
                 {"tools", Json::array()}};
  if (const std::string noise = noise_of(results); !noise.empty()) report["noise"] = noise;
  for (const ToolResult& row : results.tools) report["tools"].push_back(record_of(results, row));
  if (!results.attach.empty()) {
    report["attach"] = {{"threads", results.attach_plan.threads}, {"collectors", Json::array()}};
    for (const AttachResult& row : results.attach)
      report["attach"]["collectors"].push_back(record_of(row));
  }
  if (!results.writers.empty()) {
    report["writers"] = {{"threads", results.writers_plan.threads},
                         {"seconds", results.writers_plan.seconds},
                         {"collectors", Json::array()}};
    for (const WritersResult& row : results.writers)
      report["writers"]["collectors"].push_back(record_of(row));
  }
  // A reason may quote what a tool printed, in any encoding.
  return report.dump(kIndent, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace trapline::peers
