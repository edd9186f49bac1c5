#include "report/text_lines.h"

#include <string_view>

#include "report/printable.h"
#include "symbols/module_path.h"

namespace trapline::report {
namespace {

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
  return "accesses";
}

// "0.812 ms", "3.000 s"; never less than it was, since it is told as a bound.
void append_duration(fmt::memory_buffer& buffer, Nanoseconds duration) {
  constexpr std::uint64_t kThousand = 1'000;
  const bool is_long = duration.value >= kNanosecondsPerSecond;
  const std::uint64_t unit = is_long ? kThousand * kThousand : kThousand;
  const std::uint64_t thousandths = duration.value / unit + (duration.value % unit == 0 ? 0 : 1);
  fmt::format_to(fmt::appender(buffer), "{}.{:03} {}", thousandths / kThousand,
                 thousandths % kThousand, is_long ? "s" : "ms");
}

void append_object(fmt::memory_buffer& buffer, const WatchStart& start) {
  append_printable(buffer, start.expression);
  buffer.append(std::string_view(" ("));
  if (start.request.access != Access::execute) {
    append_printable(buffer, start.type.name);
    if (!start.type.name.empty()) buffer.append(std::string_view(", "));
    append_count(buffer, start.request.length.value, "byte");
    buffer.push_back(' ');
  }
  fmt::format_to(fmt::appender(buffer), "at {:#x})", start.request.address.value());
}

}  // namespace

void append_count(fmt::memory_buffer& buffer, std::uint64_t count, std::string_view singular) {
  fmt::format_to(fmt::appender(buffer), "{} {}{}", count, singular, count == 1 ? "" : "s");
}

void append_share(fmt::memory_buffer& buffer, std::uint64_t count, std::uint64_t total) {
  constexpr double kPercent = 100;
  fmt::format_to(fmt::appender(buffer), "{:>10} {:>6.1f}%  ", count,
                 kPercent * static_cast<double>(count) / static_cast<double>(total));
}

void append_start(fmt::memory_buffer& buffer, const WatchStart& start) {
  fmt::format_to(fmt::appender(buffer), "watching {} of ", access_words(start.request.access));
  append_object(buffer, start);
  buffer.append(std::string_view(" in "));
  append_printable(buffer, start.target);
  fmt::format_to(fmt::appender(buffer), "; collector {}, ", start.collector);
  append_count(buffer, start.slots, "debug register");
  buffer.append(std::string_view(", "));
  append_count(buffer, start.cpus.count(), "CPU");
  buffer.push_back('\n');
  for (const std::string& note : start.notes) {
    buffer.append(std::string_view("  note: "));
    append_printable(buffer, note);
    buffer.push_back('\n');
  }
}

void append_lost(fmt::memory_buffer& buffer, std::uint64_t count) {
  append_count(buffer, count, "hit");
  buffer.append(std::string_view(" lost: they came faster than they could be read\n"));
}

void append_cpu_event(fmt::memory_buffer& buffer, const CpuEventView& event, Nanoseconds began) {
  append_time(buffer, began, event.time);
  fmt::format_to(fmt::appender(buffer), "cpu {} ", event.cpu.value);
  if (!event.is_online) {
    buffer.append(std::string_view("went offline"));
  } else if (event.watched && !event.cpu_was_offline) {
    buffer.append(std::string_view("is watched again; it was online and not watched for at most "));
    append_duration(buffer, event.gap);
  } else if (event.watched) {
    buffer.append(std::string_view("is online; not watched for at most "));
    append_duration(buffer, event.gap);
    buffer.append(std::string_view(" (set "));
    append_duration(buffer, event.reinstall);
    buffer.append(std::string_view(" after the kernel's event)"));
  } else {
    buffer.append(std::string_view("is online and not watched, hits on it are missed: "));
    append_printable(buffer, event.reason);
  }
  buffer.push_back('\n');
}

void append_end(fmt::memory_buffer& buffer, const WatchEnd& end) {
  const fmt::appender out(buffer);
  append_count(buffer, end.hits, "hit");
  fmt::format_to(out, ", {}{} lost", end.lost_is_lower_bound ? "at least " : "", end.lost);
  if (end.filtered > 0) fmt::format_to(out, ", {} rejected by --when", end.filtered);
  if (end.undecided > 0)
    fmt::format_to(out, ", {} shown because --when could not be decided", end.undecided);
  if (end.cpu_changes > 0) {
    buffer.append(std::string_view(", "));
    append_count(buffer, end.cpu_changes, "CPU change");
  }
  if (end.gap.value > 0) {
    buffer.append(std::string_view(", unwatched for at most "));
    append_duration(buffer, end.gap);
  }
  fmt::format_to(out, " in {:.3f} s: ", seconds_since(Nanoseconds{}, end.duration));
  append_printable(buffer, end.reason);
  buffer.push_back('\n');
}

void append_frame(fmt::memory_buffer& buffer, const symbols::Frame& frame) {
  const fmt::appender out(buffer);
  if (frame.symbol.empty()) {
    fmt::format_to(out, "{:#x}", frame.ip.value());
  } else {
    append_printable(buffer, frame.symbol);
    if (frame.inlined) {
      buffer.append(std::string_view(" (inlined)"));
    } else {
      fmt::format_to(out, "+{:#x}", frame.offset);
    }
  }
  if (!frame.file.empty()) {
    buffer.append(std::string_view(" at "));
    append_printable(buffer, symbols::basename_of(frame.file));
    if (frame.line != 0) fmt::format_to(out, ":{}", frame.line);
  } else if (!frame.module.empty()) {
    buffer.append(std::string_view(" in "));
    append_printable(buffer, frame.module);
  }
}

void append_place(fmt::memory_buffer& buffer, const AccessPlace& place,
                  std::span<const symbols::Frame> frames) {
  if (place.in_kernel) {
    buffer.append(std::string_view("kernel: "));
  } else if (!place.ip) {
    // Only machines that trap after the access leave it open which instruction that was.
    buffer.append(std::string_view("before "));
  }
  if (frames.empty()) {
    fmt::format_to(fmt::appender(buffer), "{:#x}", place.ip.value_or(place.trap_ip).value());
  } else {
    append_frame(buffer, frames.front());
  }
}

void append_time(fmt::memory_buffer& buffer, Nanoseconds base, Nanoseconds time) {
  fmt::format_to(fmt::appender(buffer), "{:12.6f}  ", seconds_since(base, time));
}

double seconds_since(Nanoseconds base, Nanoseconds time) {
  // Modulo 2^64, so that an earlier time comes out negative.
  return static_cast<double>(static_cast<std::int64_t>(time.value - base.value)) /
         kNanosecondsPerSecond;
}

}  // namespace trapline::report
