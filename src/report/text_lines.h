// The pieces of text reports: the lines before and after the hits, frames, times. Pure.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "report/reporter.h"
#include "symbols/symbolizer.h"
#include "trapline/base/units.h"

namespace trapline::report {

// "watching writes of counter (int, 4 bytes at 0x404060) in app (pid 812, 4 threads); ...", and a
// line for each note.
void append_start(fmt::memory_buffer& buffer, const WatchStart& start);
// "2 hits lost: ..."
void append_lost(fmt::memory_buffer& buffer, std::uint64_t count);
// "    0.500000  cpu 1 went offline"; the time counts from `began`.
void append_cpu_event(fmt::memory_buffer& buffer, const CpuEventView& event, Nanoseconds began);
// "100 hits, 0 lost in 1.000 s: interrupted"
void append_end(fmt::memory_buffer& buffer, const WatchEnd& end);

// "1 hit", "2 hits".
void append_count(fmt::memory_buffer& buffer, std::uint64_t count, std::string_view singular);
// As the first columns of a line: the count, its part of a total, and the space behind them.
void append_share(fmt::memory_buffer& buffer, std::uint64_t count, std::uint64_t total);

// "bump+0x8 at app.c:42"; "0x401188" if nothing is known.
void append_frame(fmt::memory_buffer& buffer, const symbols::Frame& frame);
// Where the access was made: the first of `frames`, and what is not certain of it.
void append_place(fmt::memory_buffer& buffer, const AccessPlace& place,
                  std::span<const symbols::Frame> frames);

// As a column of a line: seconds from `base` to `time`, and the space behind them.
void append_time(fmt::memory_buffer& buffer, Nanoseconds base, Nanoseconds time);
// In seconds; negative if `time` is before `base`.
[[nodiscard]] double seconds_since(Nanoseconds base, Nanoseconds time);

}  // namespace trapline::report
