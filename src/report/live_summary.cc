#include "report/live_summary.h"

#include <algorithm>
#include <string_view>

#include "report/text_lines.h"

namespace trapline::report {
namespace {

// As many whole characters as fit, of which each takes one column as far as one can know here.
std::string_view cut_to(std::string_view line, std::size_t columns) {
  constexpr unsigned kContinuationMask = 0xc0;
  constexpr unsigned kContinuation = 0x80;
  std::size_t seen = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(line[i]) & kContinuationMask) != kContinuation;
    if (begins && seen++ == columns) return line.substr(0, i);
  }
  return line;
}

CpuSet cpus_of(std::span<const SummaryRow* const> rows) {
  CpuSet cpus;
  for (const SummaryRow* row : rows) cpus.insert(row->cpus);
  return cpus;
}

}  // namespace

void LiveSummary::draw(fmt::memory_buffer& buffer, const SummaryTable& table, Nanoseconds now,
                       std::size_t columns) {
  erase(buffer);
  fmt::memory_buffer line;
  const auto rows = table.by_count();
  append_totals(line, rows, table.total(), now);
  append_line(buffer, line, columns);
  for (std::size_t i = 0; i < std::min(rows.size(), kRows); ++i) {
    append_row(line, *rows[i], table.total(), now);
    append_line(buffer, line, columns);
  }
  drawn_ = now;
  drawn_total_ = table.total();
  for (const SummaryRow* row : rows) drawn_counts_[row] = row->count;
}

void LiveSummary::erase(fmt::memory_buffer& buffer) {
  // Up to the first of the lines, and nothing below it.
  if (lines_ != 0) fmt::format_to(fmt::appender(buffer), "\x1b[{}A\x1b[J", lines_);
  lines_ = 0;
}

double LiveSummary::rate(std::uint64_t count, std::uint64_t before, Nanoseconds now) const {
  const double seconds = static_cast<double>(now.value - drawn_.value) / kNanosecondsPerSecond;
  return seconds > 0 ? static_cast<double>(count - before) / seconds : 0;
}

void LiveSummary::append_totals(fmt::memory_buffer& line, std::span<const SummaryRow* const> rows,
                                std::uint64_t total, Nanoseconds now) const {
  fmt::format_to(fmt::appender(line), "{:>10} hits in {:.0f} s, {:.0f}/s; ", total,
                 seconds_since(began_, now), rate(total, drawn_total_, now));
  append_count(line, rows.size(), "stack");
  line.append(std::string_view(", "));
  append_count(line, cpus_of(rows).count(), "CPU");
}

void LiveSummary::append_row(fmt::memory_buffer& line, const SummaryRow& row, std::uint64_t total,
                             Nanoseconds now) const {
  const auto before = drawn_counts_.find(&row);
  const std::uint64_t count_before = before == drawn_counts_.end() ? 0 : before->second;
  append_share(line, row.count, total);
  fmt::format_to(fmt::appender(line), "{:.0f}/s  ", rate(row.count, count_before, now));
  append_place(line, row.place, row.frames);
}

void LiveSummary::append_line(fmt::memory_buffer& buffer, fmt::memory_buffer& line,
                              std::size_t columns) {
  buffer.append(cut_to({line.data(), line.size()}, columns));
  buffer.push_back('\n');
  line.clear();
  ++lines_;
}

}  // namespace trapline::report
