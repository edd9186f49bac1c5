// A console line as words, and words as numbers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace trapline::firmware {

class Words {
 public:
  static constexpr std::size_t kMost = 8;

  // Separated by spaces and tabs; what is more than kMost is left out.
  explicit Words(std::string_view line);
  [[nodiscard]] std::size_t count() const { return count_; }
  // "" where there is none.
  [[nodiscard]] std::string_view operator[](std::size_t index) const {
    return index < count_ ? words_[index] : std::string_view{};
  }

 private:
  std::array<std::string_view, kMost> words_;
  std::size_t count_ = 0;
};

// Decimal, or hexadecimal behind 0x; nullopt: it is no number, or has more than 32 bits.
[[nodiscard]] std::optional<std::uint32_t> parse_number(std::string_view word);

}  // namespace trapline::firmware
