#include "report/text_reporter.h"

#include <cstring>
#include <iterator>
#include <string>
#include <string_view>

#include "report/value_text.h"

namespace trapline::report {
namespace {

constexpr double kNanosecondsPerSecond = 1e9;
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kDim = "\x1b[2m";
constexpr std::string_view kPlain = "\x1b[0m";

std::string_view basename_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

std::string_view access_words(Access access) {
  switch (access) {
    case Access::read:
      return "reads";
    case Access::write:
      return "writes";
    case Access::read_write:
      return "reads and writes";
    case Access::execute:
      return "calls";
  }
  return "?";
}

// A thread's name with what would break the line replaced.
std::string printable(std::string_view text) {
  std::string safe(text);
  for (char& c : safe) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  return safe;
}

}  // namespace

void append_frame(fmt::memory_buffer& buffer, const symbols::Frame& frame) {
  const auto out = std::back_inserter(buffer);
  if (frame.symbol.empty()) {
    fmt::format_to(out, "{:#x}", frame.ip.value());
  } else if (frame.inlined) {
    fmt::format_to(out, "{} (inlined)", frame.symbol);
  } else {
    fmt::format_to(out, "{}+{:#x}", frame.symbol, frame.offset);
  }
  if (!frame.file.empty()) {
    fmt::format_to(out, " at {}:{}", basename_of(frame.file), frame.line);
  } else if (!frame.module.empty()) {
    fmt::format_to(out, " in {}", frame.module);
  }
}

void append_start(fmt::memory_buffer& buffer, const WatchStart& start) {
  const auto out = std::back_inserter(buffer);
  fmt::format_to(out, "watching {} of {}", access_words(start.request.access), start.expression);
  if (start.request.access == Access::execute) {
    fmt::format_to(out, " (at {:#x})", start.request.address.value());
  } else {
    fmt::format_to(out, " ({}{}{} bytes at {:#x})", start.type.name,
                   start.type.name.empty() ? "" : ", ", start.request.length.value,
                   start.request.address.value());
  }
  fmt::format_to(out, " in {}; collector {}, {} debug {}, {} CPUs\n", start.target, start.collector,
                 start.slots, start.slots == 1 ? "register" : "registers", start.cpus.count());
  for (const std::string& note : start.notes) fmt::format_to(out, "  note: {}\n", note);
}

void append_end(fmt::memory_buffer& buffer, const WatchEnd& end) {
  const auto out = std::back_inserter(buffer);
  fmt::format_to(out, "{} {}, {} lost", end.hits, end.hits == 1 ? "hit" : "hits", end.lost);
  if (end.filtered > 0) fmt::format_to(out, ", {} rejected by --when", end.filtered);
  if (end.undecided > 0)
    fmt::format_to(out, ", {} shown because --when could not be decided", end.undecided);
  if (end.gap.value > 0) {
    fmt::format_to(out, ", unwatched for {:.3f} s",
                   static_cast<double>(end.gap.value) / kNanosecondsPerSecond);
  }
  fmt::format_to(out, " in {:.3f} s: {}\n",
                 static_cast<double>(end.duration.value) / kNanosecondsPerSecond, end.reason);
}

Result<void> TextReporter::start(const WatchStart& start) {
  type_ = start.type;
  append_start(remarks_.buffer(), start);
  return remarks_.flush();
}

Result<void> TextReporter::hit(const HitView& view) {
  const Hit& hit = view.hit;
  if (!had_hit_) first_hit_ = hit.time;
  had_hit_ = true;
  fmt::memory_buffer& buffer = records_.buffer();
  const std::string_view comm(hit.comm.data(), ::strnlen(hit.comm.data(), hit.comm.size()));
  // Hits of several CPUs may arrive a little out of order.
  const double seconds =
      static_cast<double>(static_cast<std::int64_t>(hit.time.value - first_hit_.value)) /
      kNanosecondsPerSecond;
  fmt::format_to(std::back_inserter(buffer), "{:+12.6f}  {}/{}  cpu {}  ", seconds, printable(comm),
                 hit.tid.value, hit.cpu.value);
  append_values(hit);
  append_place(view);
  buffer.push_back('\n');
  if (style_.show_callers && view.stack.id != last_stack_) append_callers(view.stack);
  last_stack_ = view.stack.id;
  return records_.settle();
}

void TextReporter::append_values(const Hit& hit) {
  if (hit.old_value.certainty == Certainty::unknown &&
      hit.new_value.certainty == Certainty::unknown)
    return;
  fmt::memory_buffer& buffer = records_.buffer();
  const auto append = [&](const MemoryValue& value) {
    if (value.certainty == Certainty::unknown) {
      buffer.push_back('?');
      return;
    }
    if (value.certainty == Certainty::approximate) buffer.push_back('~');
    append_text(buffer, value, type_);
  };
  if (style_.colour) buffer.append(kBold);
  append(hit.old_value);
  buffer.append(std::string_view(" -> "));
  append(hit.new_value);
  if (style_.colour) buffer.append(kPlain);
  buffer.append(std::string_view("  "));
}

void TextReporter::append_place(const HitView& view) {
  fmt::memory_buffer& buffer = records_.buffer();
  if (view.hit.in_kernel) buffer.append(std::string_view("kernel: "));
  if (!view.stack.frames.empty()) append_frame(buffer, view.stack.frames.front());
  if (!view.instruction.empty()) {
    buffer.append(std::string_view("  "));
    if (style_.colour) buffer.append(kDim);
    fmt::format_to(std::back_inserter(buffer), "[{}]", view.instruction);
    if (style_.colour) buffer.append(kPlain);
  } else if (!view.ip && !view.hit.in_kernel) {
    buffer.append(std::string_view("  [instruction before this place unknown]"));
  }
}

void TextReporter::append_callers(const ResolvedStack& stack) {
  fmt::memory_buffer& buffer = records_.buffer();
  for (std::size_t index = 1; index < stack.frames.size(); ++index) {
    if (style_.colour) buffer.append(kDim);
    buffer.append(std::string_view("                from "));
    append_frame(buffer, stack.frames[index]);
    if (style_.colour) buffer.append(kPlain);
    buffer.push_back('\n');
  }
}

Result<void> TextReporter::lost(std::uint64_t count) {
  fmt::format_to(std::back_inserter(remarks_.buffer()),
                 "{} hits lost: they came faster than they could be read\n", count);
  return remarks_.flush();
}

Result<void> TextReporter::end(const WatchEnd& end) {
  if (auto flushed = records_.flush(); !flushed) return flushed;
  append_end(remarks_.buffer(), end);
  return remarks_.flush();
}

}  // namespace trapline::report
