// --summary: no line per hit; at the end a table of who touched the memory, by stack.
//
// Of CPUs that went offline and came back, text tells how many and the gap they left, at the end;
// only a CPU that cannot be watched gets a line of its own, at once. JSON has every record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "report/output.h"
#include "report/reporter.h"
#include "report/summary_table.h"

namespace trapline::report {

class SummaryReporter : public Reporter {
 public:
  enum class Format : std::uint8_t { text, json };
  static constexpr std::size_t kMaxStacks = 10'000;

  // The table goes to `records`, everything else to `remarks` (for JSON: all to `records`); both
  // borrowed. Hits of stacks beyond `max_stacks` are counted together.
  SummaryReporter(Output& records, Output& remarks, Format format,
                  std::size_t max_stacks = kMaxStacks)
      : records_(records), remarks_(remarks), format_(format), table_(max_stacks) {}

  [[nodiscard]] Result<void> start(const WatchStart& start) override;
  [[nodiscard]] Result<void> hit(const HitView& view) override;
  [[nodiscard]] Result<void> lost(std::uint64_t count) override;
  [[nodiscard]] Result<void> cpu(const CpuEventView& event) override;
  [[nodiscard]] Result<void> end(const WatchEnd& end) override;
  [[nodiscard]] Result<void> flush() override { return records_.flush(); }

 private:
  [[nodiscard]] Result<void> end_text(const WatchEnd& end);
  [[nodiscard]] Result<void> end_json(const WatchEnd& end);
  void append_text_row(const SummaryRow& row);
  void append_row_details(const SummaryRow& row);
  void append_json_row(const SummaryRow& row);
  void append_count(std::uint64_t count);
  void append_text_value(const MemoryValue& value);

  Output& records_;
  Output& remarks_;
  Format format_;
  SummaryTable table_;
  symbols::ValueType type_;
  ByteCount length_;
  std::optional<Nanoseconds> began_;
};

}  // namespace trapline::report
