#include "words.h"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace trapline::firmware {

Words::Words(std::string_view line) {
  constexpr std::string_view kSpace = " \t\r\n";
  while (count_ < kMost) {
    const std::size_t begin = line.find_first_not_of(kSpace);
    if (begin == std::string_view::npos) return;
    line.remove_prefix(begin);
    const std::size_t length = std::min(line.find_first_of(kSpace), line.size());
    words_[count_++] = std::string_view(line.data(), length);  // substr may throw
    line.remove_prefix(length);
  }
}

std::optional<std::uint32_t> parse_number(std::string_view word) {
  constexpr int kDecimal = 10;
  constexpr int kHexadecimal = 16;
  const bool is_hexadecimal = word.starts_with("0x");
  if (is_hexadecimal) word.remove_prefix(2);
  std::uint32_t value = 0;
  const char* const end = word.data() + word.size();
  const auto parsed =
      std::from_chars(word.data(), end, value, is_hexadecimal ? kHexadecimal : kDecimal);
  if (word.empty() || parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
  return value;
}

}  // namespace trapline::firmware
