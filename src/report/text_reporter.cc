#include "report/text_reporter.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "report/printable.h"
#include "report/text_lines.h"

namespace trapline::report {
namespace {

constexpr std::size_t kMaxThreads = 4096;
// Below the second column of a hit's line.
constexpr std::string_view kCallerIndent = "              from ";

// ECMA-48, select graphic rendition.
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kDim = "\x1b[2m";
constexpr std::string_view kGreen = "\x1b[32m";
constexpr std::string_view kPlain = "\x1b[0m";

void pad(fmt::memory_buffer& buffer, std::size_t spaces) {
  fmt::format_to(fmt::appender(buffer), "{:{}}", "", spaces);
}

// Of valid UTF-8: characters, near enough to columns for names.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::size_t Column::padding_for(std::size_t text_width) {
  if (text_width > width_) width_ = std::min(text_width, limit_);
  return text_width < width_ ? width_ - text_width : 0;
}

template <typename Append>
void TextReporter::coloured(Colour colour, Append append) {
  fmt::memory_buffer& buffer = records_.buffer();
  if (!style_.colour) return append();
  switch (colour) {
    case Colour::bold:
      buffer.append(kBold);
      break;
    case Colour::dim:
      buffer.append(kDim);
      break;
    case Colour::green:
      buffer.append(kGreen);
      break;
  }
  append();
  buffer.append(kPlain);
}

Result<void> TextReporter::start(const WatchStart& start) {
  watch_ = start.request;
  hit_values_.describe(start);
  began_ = start.began;
  append_start(remarks_.buffer(), start);
  return remarks_.flush();
}

Result<void> TextReporter::hit(const HitView& view) {
  const Hit& hit = view.hit;
  if (!began_) began_ = hit.time;
  fmt::memory_buffer& buffer = records_.buffer();
  append_time(buffer, *began_, hit.time);
  append_thread(hit);
  fmt::format_to(fmt::appender(buffer), "cpu {}  ", hit.cpu.value);
  append_values(view);
  coloured(Colour::green, [&] { append_place(buffer, place_of(view), view.stack.frames); });
  append_instruction(view);
  if (style_.show_callers) {
    append_stack(view);
  } else {
    buffer.push_back('\n');
  }
  return records_.settle();
}

void TextReporter::append_thread(const Hit& hit) {
  fmt::memory_buffer& buffer = records_.buffer();
  const std::size_t begin = buffer.size();
  const std::string_view name = name_of_thread(hit);
  append_printable(buffer, name.empty() ? "?" : name);
  fmt::format_to(fmt::appender(buffer), "/{}", hit.tid.value);
  pad(buffer, threads_.padding_for(width_of(view_of(buffer).substr(begin))));
  buffer.append(std::string_view("  "));
}

void TextReporter::append_part(const HitView& view, std::string_view member) {
  fmt::memory_buffer& buffer = records_.buffer();
  const Hit& hit = view.hit;
  const std::size_t begin = buffer.size();
  if (!member.empty()) {
    append_printable(buffer, member);
  } else if (hit.length != watch_.length) {
    // One of several registers fired; written as *ADDR:LEN is, from the object's start.
    const RemoteAddress object = view.object_start.value_or(watch_.address);
    fmt::format_to(fmt::appender(buffer), "+{}:{}", (hit.address - object).value, hit.length.value);
  }
  const std::size_t width = width_of(view_of(buffer).substr(begin));
  const std::size_t padding = parts_.padding_for(width);
  pad(buffer, padding);
  if (width + padding > 0) buffer.append(std::string_view("  "));
}

void TextReporter::append_value(const MemoryValue& value, const HitValues::Subject& subject,
                                symbols::AddressNames* names) {
  fmt::memory_buffer& buffer = records_.buffer();
  if (value.certainty == Certainty::unknown) {
    buffer.push_back('?');
    return;
  }
  if (value.certainty == Certainty::approximate) buffer.push_back('~');
  append_value_text(buffer, value, subject, names);
}

void TextReporter::append_values(const HitView& view) {
  const Hit& hit = view.hit;
  if (hit.access == Access::execute) return;
  const HitValues::Subject subject = hit_values_.subject_of(view);
  append_part(view, subject.member);
  fmt::memory_buffer& buffer = records_.buffer();
  const bool known = hit.old_value.certainty != Certainty::unknown ||
                     hit.new_value.certainty != Certainty::unknown;
  std::size_t width = 0;
  if (known) {
    coloured(Colour::bold, [&] {
      const std::size_t begin = buffer.size();
      append_value(hit.old_value, subject, view.names);
      buffer.append(std::string_view(" -> "));
      append_value(hit.new_value, subject, view.names);
      width = width_of(view_of(buffer).substr(begin));
    });
  }
  const std::size_t padding = values_.padding_for(width);
  pad(buffer, padding);
  if (width + padding > 0) buffer.append(std::string_view("  "));
}

void TextReporter::append_instruction(const HitView& view) {
  const bool is_missing = !view.ip && !view.hit.in_kernel;
  if (view.instruction.empty() && !is_missing) return;
  fmt::memory_buffer& buffer = records_.buffer();
  buffer.append(std::string_view("  "));
  coloured(Colour::dim, [&] {
    buffer.push_back('[');
    append_printable(buffer, is_missing ? "instruction unknown" : view.instruction);
    buffer.push_back(']');
  });
}

bool TextReporter::is_new_stack(const HitView& view) {
  if (last_stacks_.size() >= kMaxThreads && !last_stacks_.contains(view.hit.tid.value))
    last_stacks_.clear();
  // Ids start at 1, so a thread that was not seen has a new stack.
  std::uint64_t& last = last_stacks_[view.hit.tid.value];
  return std::exchange(last, view.stack.id) != view.stack.id;
}

void TextReporter::append_stack(const HitView& view) {
  fmt::memory_buffer& buffer = records_.buffer();
  coloured(Colour::dim, [&] { fmt::format_to(fmt::appender(buffer), "  #{}", view.stack.id); });
  buffer.push_back('\n');
  if (!is_new_stack(view)) return;
  for (std::size_t index = 1; index < view.stack.frames.size(); ++index) {
    coloured(Colour::dim, [&] {
      buffer.append(kCallerIndent);
      append_frame(buffer, view.stack.frames[index]);
    });
    buffer.push_back('\n');
  }
}

Result<void> TextReporter::lost(std::uint64_t count) {
  // On a terminal the remark belongs behind the hits before it.
  if (auto flushed = records_.flush(); !flushed) return flushed;
  append_lost(remarks_.buffer(), count);
  return remarks_.flush();
}

Result<void> TextReporter::cpu(const CpuEventView& event) {
  if (!began_) began_ = event.time;
  if (auto flushed = records_.flush(); !flushed) return flushed;
  append_cpu_event(remarks_.buffer(), event, *began_);
  return remarks_.flush();
}

Result<void> TextReporter::end(const WatchEnd& end) {
  if (auto flushed = records_.flush(); !flushed) return flushed;
  append_end(remarks_.buffer(), end);
  return remarks_.flush();
}

}  // namespace trapline::report
