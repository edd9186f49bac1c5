// What a summary shows on a terminal while it is being made: how many hits, how fast, and who makes
// most of them. Redrawn in place. Pure: text goes into a buffer.
//
// Source of the control sequences: ECMA-48, 8.3.22 CUU, 8.3.39 ED.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>

#include "report/summary_table.h"
#include "trapline/base/units.h"

namespace trapline::report {

class LiveSummary {
 public:
  static constexpr std::size_t kRows = 5;
  static constexpr Nanoseconds kInterval{kNanosecondsPerSecond};

  // Rates count from `began`.
  explicit LiveSummary(Nanoseconds began) : began_(began), drawn_(began) {}

  [[nodiscard]] bool is_due(Nanoseconds now) const {
    return now.value >= drawn_.value + kInterval.value;
  }
  // Over what was drawn before, at most `columns` wide.
  void draw(fmt::memory_buffer& buffer, const SummaryTable& table, Nanoseconds now,
            std::size_t columns);
  // Takes away what is drawn, for other lines to come.
  void erase(fmt::memory_buffer& buffer);

 private:
  // Of a count that was `before` when it was drawn last.
  [[nodiscard]] double rate(std::uint64_t count, std::uint64_t before, Nanoseconds now) const;
  void append_totals(fmt::memory_buffer& line, std::span<const SummaryRow* const> rows,
                     std::uint64_t total, Nanoseconds now) const;
  void append_row(fmt::memory_buffer& line, const SummaryRow& row, std::uint64_t total,
                  Nanoseconds now) const;
  void append_line(fmt::memory_buffer& buffer, fmt::memory_buffer& line, std::size_t columns);

  Nanoseconds began_;
  Nanoseconds drawn_;
  std::uint64_t drawn_total_ = 0;
  std::unordered_map<const SummaryRow*, std::uint64_t> drawn_counts_;
  std::size_t lines_ = 0;  // on the terminal
};

}  // namespace trapline::report
