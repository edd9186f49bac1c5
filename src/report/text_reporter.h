// Hits as text for people: one line each, its callers below where they differ from the hit before.
#pragma once

#include <cstdint>

#include "report/output.h"
#include "report/reporter.h"

namespace trapline::report {

class TextReporter : public Reporter {
 public:
  struct Style {
    bool colour = false;
    bool show_callers = true;
  };
  // Hits go to `records`, everything else to `remarks`; both borrowed.
  TextReporter(Output& records, Output& remarks, Style style)
      : records_(records), remarks_(remarks), style_(style) {}

  [[nodiscard]] Result<void> start(const WatchStart& start) override;
  [[nodiscard]] Result<void> hit(const HitView& hit) override;
  [[nodiscard]] Result<void> lost(std::uint64_t count) override;
  [[nodiscard]] Result<void> end(const WatchEnd& end) override;
  [[nodiscard]] Result<void> flush() override { return records_.flush(); }

 private:
  void append_values(const Hit& hit);
  void append_place(const HitView& view);
  void append_callers(const ResolvedStack& stack);

  Output& records_;
  Output& remarks_;
  Style style_;
  symbols::ValueType type_;
  Nanoseconds first_hit_;
  bool had_hit_ = false;
  std::uint64_t last_stack_ = 0;
};

// The lines before and after the hits, which every text report has.
void append_start(fmt::memory_buffer& buffer, const WatchStart& start);
void append_end(fmt::memory_buffer& buffer, const WatchEnd& end);
// "bump+0x8 at app.c:42"; "0x401188" if nothing is known.
void append_frame(fmt::memory_buffer& buffer, const symbols::Frame& frame);

}  // namespace trapline::report
