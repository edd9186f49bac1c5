// --summary: no line per hit; at the end a table of who touched the memory, by stack.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "report/output.h"
#include "report/reporter.h"

namespace trapline::report {

class SummaryReporter : public Reporter {
 public:
  enum class Format : std::uint8_t { text, json };
  // The table goes to `records`, everything else to `remarks` (for JSON: all to `records`); both
  // borrowed.
  SummaryReporter(Output& records, Output& remarks, Format format)
      : records_(records), remarks_(remarks), format_(format) {}

  [[nodiscard]] Result<void> start(const WatchStart& start) override;
  [[nodiscard]] Result<void> hit(const HitView& hit) override;
  [[nodiscard]] Result<void> lost(std::uint64_t count) override;
  [[nodiscard]] Result<void> end(const WatchEnd& end) override;
  [[nodiscard]] Result<void> flush() override { return records_.flush(); }

 private:
  // One place and way to it.
  struct Row {
    std::uint64_t count = 0;
    Nanoseconds first;
    Nanoseconds last;
    std::set<std::int32_t> threads;  // bounded: more than kMaxThreads are not told apart
    bool has_values = false;
    MemoryValue lowest;
    MemoryValue highest;
    std::string instruction;
    std::vector<symbols::Frame> frames;
  };
  using RowKey = std::string;

  Row& row_of(const HitView& view);
  void count_value(Row& row, const MemoryValue& value) const;
  [[nodiscard]] std::vector<const Row*> by_count() const;
  void append_text_row(const Row& row, std::uint64_t total, Nanoseconds began);
  void append_json_row(const Row& row);

  Output& records_;
  Output& remarks_;
  Format format_;
  symbols::ValueType type_;
  std::unordered_map<std::uint64_t, Row*> by_stack_;  // a shortcut, emptied when it is full
  std::unordered_map<RowKey, Row> rows_;              // bounded: the rest is counted in others_
  std::uint64_t others_ = 0;
  Nanoseconds first_hit_;
  bool had_hit_ = false;
};

}  // namespace trapline::report
