// Foreign text (a thread's name, a symbol, a path) made fit for a terminal and for one line.
//
// Such text comes from the watched program and its files, which may hold anything: a line feed that
// would fake a hit, or an escape sequence that would change the user's terminal. Pure.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace trapline::report {

// Appends `text` with '?' for each control character (C0, DEL, C1) and for each byte that is not
// part of valid UTF-8.
void append_printable(fmt::memory_buffer& buffer, std::string_view text);

// A view of `buffer`'s text.
[[nodiscard]] inline std::string_view view_of(const fmt::memory_buffer& buffer) {
  return {buffer.data(), buffer.size()};
}

}  // namespace trapline::report
