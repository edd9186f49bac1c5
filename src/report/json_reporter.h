// Hits as JSON lines: docs/json.md describes every field.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

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
  void append_values(const Hit& hit);

  Output& records_;
  Request watch_;
  symbols::ValueType type_;
  std::unordered_map<std::uint64_t, StackText> stacks_;  // by stack id; bounded
};

}  // namespace trapline::report
