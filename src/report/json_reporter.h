// Hits as JSON lines: docs/json.md describes every field.
#pragma once

#include <nlohmann/json_fwd.hpp>
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
  [[nodiscard]] Result<void> hit(const HitView& hit) override;
  [[nodiscard]] Result<void> lost(std::uint64_t count) override;
  [[nodiscard]] Result<void> end(const WatchEnd& end) override;
  [[nodiscard]] Result<void> flush() override { return records_.flush(); }

 private:
  struct StackText {
    std::string culprit;  // `,"symbol":...,"line":42`
    std::string frames;   // `[{...},...]`
  };
  const StackText& text_of(const ResolvedStack& stack);
  void append_values(const Hit& hit);

  Output& records_;
  symbols::ValueType type_;
  // By stack id. Bounded as the table of stacks is.
  std::unordered_map<std::uint64_t, StackText> stacks_;
};

// The records around the hits, which every JSON report has.
[[nodiscard]] nlohmann::ordered_json start_record(const WatchStart& start);
[[nodiscard]] nlohmann::ordered_json end_record(const WatchEnd& end);
[[nodiscard]] nlohmann::ordered_json frame_record(const symbols::Frame& frame);
// One line. Text that is not UTF-8 (a thread's name can be anything) gets replacement characters.
[[nodiscard]] std::string to_line(const nlohmann::ordered_json& record);
// 0x401188
[[nodiscard]] std::string address_text(RemoteAddress address);

}  // namespace trapline::report
