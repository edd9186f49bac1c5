// --summary: no line per hit; at the end a table of who touched the memory, by stack.
//
// Of CPUs that went offline and came back, text tells how many and the gap they left, at the end;
// only a CPU that cannot be watched gets a line of its own, at once. JSON has every record. On a
// terminal, what there is so far is shown meanwhile, among the remarks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "report/live_summary.h"
#include "report/output.h"
#include "report/reporter.h"
#include "report/summary_table.h"

namespace trapline::report {

class SummaryReporter : public Reporter {
 public:
  enum class Format : std::uint8_t { text, json };
  static constexpr std::size_t kMaxStacks = 10'000;

  // Where remarks are seen at once: what time it is, and how wide the terminal.
  struct Terminal {
    std::function<Nanoseconds()> now;
    std::function<std::size_t()> columns;
  };

  // The table goes to `records`, everything else to `remarks` (for JSON: all to `records`); both
  // borrowed. Hits of stacks beyond `max_stacks` are counted together.
  SummaryReporter(Output& records, Output& remarks, Format format,
                  std::size_t max_stacks = kMaxStacks)
      : records_(records), remarks_(remarks), format_(format), table_(max_stacks) {}
  // From start() on. For text.
  void show_on(Terminal terminal) { terminal_ = std::move(terminal); }

  [[nodiscard]] Result<void> start(const WatchStart& start) override;
  [[nodiscard]] Result<void> hit(const HitView& view) override;
  [[nodiscard]] Result<void> open_tally(const HitView& like) override;
  [[nodiscard]] Result<void> tally(const TallyView& tally) override;
  [[nodiscard]] Result<void> lost(std::uint64_t count) override;
  [[nodiscard]] Result<void> cpu(const CpuEventView& event) override;
  [[nodiscard]] Result<void> end(const WatchEnd& end) override;
  [[nodiscard]] Result<void> flush() override;

 private:
  [[nodiscard]] Result<void> end_text(const WatchEnd& end);
  [[nodiscard]] Result<void> end_json(const WatchEnd& end);
  // Takes the view of the terminal away before another remark; the next flush() draws it again.
  void erase_live();
  void append_text_row(const SummaryRow& row);
  void append_row_details(const SummaryRow& row);
  void append_json_row(const SummaryRow& row);
  void append_text_value(const MemoryValue& value);

  Output& records_;
  Output& remarks_;
  Format format_;
  SummaryTable table_;
  symbols::ValueType type_;
  ByteCount length_;
  std::optional<Nanoseconds> began_;
  std::optional<Terminal> terminal_;
  std::optional<LiveSummary> live_;
};

}  // namespace trapline::report
