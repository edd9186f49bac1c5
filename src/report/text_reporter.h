// Hits as text for people: one line each, made to be read on a terminal and found with grep.
//
//     0.001234  app/813   cpu 1  41 -> 42  bump+0xc at app.c:42  [add dword ptr [rip + 0x2ef2], 1]
//     #1
//               from worker+0x20 at app.c:60
//
// Time in seconds since the watch began; thread; CPU; which member of a watched object, if it has
// any; old and new value (~: approximate, ?: unknown); where; what; which stack. "#1" is the same
// in all hits with that stack, and the callers are listed below a hit only where the thread's hit
// before had another one. Columns grow to their widest text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "report/hit_values.h"
#include "report/output.h"
#include "report/reporter.h"

namespace trapline::report {

// A column that is as wide as its widest text so far, up to a limit.
class Column {
 public:
  Column(std::size_t width, std::size_t limit) : width_(width), limit_(limit) {}
  // The spaces to put behind a text of this width.
  [[nodiscard]] std::size_t padding_for(std::size_t text_width);

 private:
  std::size_t width_;
  std::size_t limit_;
};

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
  [[nodiscard]] Result<void> hit(const HitView& view) override;
  [[nodiscard]] Result<void> lost(std::uint64_t count) override;
  [[nodiscard]] Result<void> cpu(const CpuEventView& event) override;
  [[nodiscard]] Result<void> end(const WatchEnd& end) override;
  [[nodiscard]] Result<void> flush() override { return records_.flush(); }

 private:
  enum class Colour : std::uint8_t { bold, dim, green };

  void append_thread(const Hit& hit);
  void append_part(const HitView& view, std::string_view member);
  void append_values(const HitView& view);
  void append_value(const MemoryValue& value, const HitValues::Subject& subject,
                    symbols::AddressNames* names);
  void append_instruction(const HitView& view);
  void append_stack(const HitView& view);
  [[nodiscard]] bool is_new_stack(const HitView& view);
  // Everything that `append` appends in that colour.
  template <typename Append>
  void coloured(Colour colour, Append append);

  Output& records_;
  Output& remarks_;
  Style style_;
  Request watch_;
  HitValues hit_values_;
  std::optional<Nanoseconds> began_;
  Column threads_{12, 32};
  Column parts_{0, 40};
  Column values_{0, 32};
  // The stack of each thread's last hit. Bounded.
  std::unordered_map<std::int32_t, std::uint64_t> last_stacks_;
};

}  // namespace trapline::report
