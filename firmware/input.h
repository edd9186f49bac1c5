// Lines from the UART.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace trapline::firmware {

// From the first CPU, once: its interrupt takes what is received.
void start_input();
// Waits for a line, echoes it, and returns it without its end. What is longer than `storage` is cut
// off, and said to be.
[[nodiscard]] std::string_view read_line(std::span<char> storage);

}  // namespace trapline::firmware
