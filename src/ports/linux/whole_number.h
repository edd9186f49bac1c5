// Numbers as the kernel prints them in files, messages and names. Pure.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace trapline::linux_port {

// The whole of `text` as a number; nullopt if anything else is in it, or it does not fit.
template <typename Number>
[[nodiscard]] std::optional<Number> parse_whole(std::string_view text, int base = 10) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace trapline::linux_port
