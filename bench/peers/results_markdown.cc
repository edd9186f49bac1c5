// The report as Markdown.
#include <fmt/format.h>

#include <iterator>

#include "bench/peers/results.h"

namespace trapline::peers {
namespace {

constexpr double kMicrosecond = 1000;  // nanoseconds

std::string spread_text(const std::optional<Spread>& spread, int digits) {
  if (!spread) return "";
  return fmt::format("{:.{}f} ({:.{}f} to {:.{}f})", spread->median, digits, spread->lowest, digits,
                     spread->highest, digits);
}

std::string account_text(const Account& account) {
  if (account.hits == account.writes) return fmt::format("all {}", account.writes);
  std::string text = fmt::format("{} of {}", account.hits, account.writes);
  if (account.lost > 0) text += fmt::format(", {} lost by its own word", account.lost);
  const std::int64_t unaccounted = account.unaccounted();
  if (unaccounted > 0) text += fmt::format(", **{} missing without a word**", unaccounted);
  if (unaccounted < 0) text += fmt::format(", **{} that were not written**", -unaccounted);
  return text;
}

std::string row_of(const Results& results, const ToolResult& row) {
  std::vector<double> microseconds;
  for (const double slope : row.slopes) microseconds.push_back(slope / kMicrosecond);
  const std::string ratio =
      row.tool.kind == Kind::floor ? "1" : spread_text(ratio_of(results, row), 2);
  return fmt::format("| {} | {} | {} | {} | {} | {} |\n", row.tool.name,
                     spread_text(spread_of(std::move(microseconds)), 1), ratio,
                     row.tool.goal ? fmt::format("{:.2f}", *row.tool.goal) : "",
                     account_text(row.account), row.tool.gives);
}

// Calls append(row) under `heading` for those that were measured, and names the others below.
template <typename Row, typename Name, typename Append>
void append_table(std::string& text, std::string_view heading, const std::vector<Row>& rows,
                  Name name, Append append) {
  std::string missing;
  text += heading;
  for (const Row& row : rows) {
    if (row.missing.empty()) {
      append(row);
    } else {
      fmt::format_to(std::back_inserter(missing), "- not measured: {}: {}\n", name(row),
                     row.missing);
    }
  }
  if (!missing.empty()) text += "\n" + missing;
}

std::string collector_of(const auto& row) {
  return row.collector;
}

}  // namespace

std::string to_markdown(const Results& results) {
  std::string text = "# What one hit costs\n\n" + describe(results) + "\n\n";
  if (const std::string noise = noise_of(results); !noise.empty()) text += "**" + noise + "**\n\n";
  append_table(
      text, "| tool | us per hit | ratio | goal | hits seen | gives |\n|---|---|---|---|---|---|\n",
      results.tools, [](const ToolResult& row) { return row.tool.name; },
      [&](const ToolResult& row) { text += row_of(results, row); });
  if (!results.attach.empty()) {
    append_table(text,
                 fmt::format("\n## Attaching to {} threads\n\n| collector | ms from start to "
                             "installed | goal |\n|---|---|---|\n",
                             results.attach_plan.threads),
                 results.attach, collector_of<AttachResult>, [&](const AttachResult& row) {
                   text += fmt::format("| {} | {} | 100 |\n", row.collector,
                                       spread_text(row.milliseconds, 1));
                 });
  }
  if (!results.writers.empty()) {
    append_table(text,
                 fmt::format("\n## {} threads that write at once for {} s\n\n| collector | writes "
                             "| hits | lost | exact |\n|---|---|---|---|---|\n",
                             results.writers_plan.threads, results.writers_plan.seconds),
                 results.writers, collector_of<WritersResult>, [&](const WritersResult& row) {
                   text += fmt::format("| {} | {} | {} | {} | {} |\n", row.collector, row.writes,
                                       row.hits, row.lost, row.is_exact() ? "yes" : "**no**");
                 });
  }
  return text;
}

}  // namespace trapline::peers
