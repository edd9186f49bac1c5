// Hits as JSON lines: docs/json.md describes every field.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "report/hit_values.h"
#include "report/output.h"
#include "report/reporter.h"

namespace trapline::report {

class JsonReporter : public Reporter {
 public:
  // Everything goes to `records`, borrowed.
  explicit JsonReporter(Output& records) : records_(records) {}

  [[nodiscard]] Result<void> start(const WatchStart& start) override;
  [[nodiscard]] Result<void> hit(const HitView& view) override;
  [[nodiscard]] Result<void> lost(std::uint64_t count) override;
  [[nodiscard]] Result<void> cpu(const CpuEventView& event) override;
  [[nodiscard]] Result<void> end(const WatchEnd& end) override;
  [[nodiscard]] Result<void> flush() override { return records_.flush(); }

 private:
  // What is the same in every hit with one stack.
  struct StackText {
    std::string place;   // `,"ip":"0x401188",...,"instruction":"..."`
    std::string frames;  // `,"stack":[{...},...]`
  };
  const StackText& text_of(const HitView& view);
  void append_values(const HitView& view, const HitValues::Subject& subject);
  void append_value(std::string_view name, const MemoryValue& value,
                    const HitValues::Subject& subject);
  void append_value_text(std::string_view name, const MemoryValue& value,
                         const HitValues::Subject& subject, symbols::AddressNames* names);

  Output& records_;
  Request watch_;
  symbols::ValueType type_;
  HitValues hit_values_;
  fmt::memory_buffer text_;                              // of the value at hand
  std::unordered_map<std::uint64_t, StackText> stacks_;  // by stack id; bounded
};

}  // namespace trapline::report
