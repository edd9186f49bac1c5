#include "watch/decimal_float.h"

#include <array>
#include <bit>
#include <compare>
#include <cstddef>

namespace trapline {
namespace {

// With up to 20 digits, below these all is nearest to zero, and beyond to infinity.
constexpr int kLowestExponent = -345;
constexpr int kHighestExponent = 309;

// A natural number of at most 1280 bits; 10^345, the largest here, has 1147.
class BigNatural {
 public:
  explicit BigNatural(std::uint64_t value) {
    words_[0] = static_cast<std::uint32_t>(value);
    words_[1] = static_cast<std::uint32_t>(value >> kWordBits);
  }

  [[nodiscard]] int bit_length() const {
    for (std::size_t index = kWords; index-- > 0;) {
      if (words_[index] != 0)
        return static_cast<int>((index * kWordBits) +
                                static_cast<std::size_t>(std::bit_width(words_[index])));
    }
    return 0;
  }
  void multiply(std::uint32_t factor) {
    std::uint64_t carry = 0;
    for (std::uint32_t& word : words_) {
      carry += std::uint64_t{word} * factor;
      word = static_cast<std::uint32_t>(carry);
      carry >>= kWordBits;
    }
  }
  void shift_up(int bits) {
    constexpr int kStep = kWordBits - 1;
    for (; bits > kStep; bits -= kStep) multiply(std::uint32_t{1} << kStep);
    multiply(std::uint32_t{1} << bits);
  }
  // `other` is not greater.
  void subtract(const BigNatural& other) {
    std::uint64_t borrow = 0;
    for (std::size_t index = 0; index < kWords; ++index) {
      const std::uint64_t difference = std::uint64_t{words_[index]} - other.words_[index] - borrow;
      words_[index] = static_cast<std::uint32_t>(difference);
      borrow = difference >> (2 * kWordBits - 1);
    }
  }
  friend std::strong_ordering operator<=>(const BigNatural& a, const BigNatural& b) {
    for (std::size_t index = kWords; index-- > 0;) {
      if (a.words_[index] != b.words_[index]) return a.words_[index] <=> b.words_[index];
    }
    return std::strong_ordering::equal;
  }
  friend bool operator==(const BigNatural& a, const BigNatural& b) { return (a <=> b) == 0; }

 private:
  static constexpr int kWordBits = 32;
  static constexpr std::size_t kWords = 40;
  std::array<std::uint32_t, kWords> words_{};  // the lowest first
};

}  // namespace

std::optional<std::uint64_t> nearest_float(std::uint64_t digits, int exponent, FloatFormat format) {
  const bool is_single = format == FloatFormat::single_precision;
  const unsigned fraction_bits = is_single ? 23 : 52;
  const unsigned exponent_bits = is_single ? 8 : 11;
  const std::uint64_t infinity = ((std::uint64_t{1} << exponent_bits) - 1) << fraction_bits;
  if (digits == 0) return 0;
  if (exponent < kLowestExponent || exponent > kHighestExponent) return std::nullopt;
  constexpr std::uint32_t kTen = 10;
  BigNatural numerator(digits);
  BigNatural denominator(1);
  for (int i = 0; i < exponent; ++i) numerator.multiply(kTen);
  for (int i = 0; i > exponent; --i) denominator.multiply(kTen);

  // Then the number is numerator / denominator * 2^power, the fraction in [1, 2).
  int power = numerator.bit_length() - denominator.bit_length();
  if (power > 0) denominator.shift_up(power);
  if (power < 0) numerator.shift_up(-power);
  if (numerator < denominator) {
    numerator.shift_up(1);
    --power;
  }

  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int lowest_power = 1 - bias;
  const bool is_subnormal = power < lowest_power;
  int kept = static_cast<int>(fraction_bits) + 1;
  if (is_subnormal) kept -= lowest_power - power;
  if (kept < 0) return std::nullopt;
  std::uint64_t bits = 0;
  for (int i = 0; i < kept; ++i) {
    bits <<= 1;
    if (numerator >= denominator) {
      numerator.subtract(denominator);
      bits |= 1;
    }
    numerator.shift_up(1);
  }
  // What is left, in halves of the last bit.
  if (numerator > denominator || (numerator == denominator && (bits & 1) != 0)) ++bits;
  // The highest bit is not written; what rounding carries goes into the exponent, as it should.
  if (!is_subnormal) bits += static_cast<std::uint64_t>(power + bias - 1) << fraction_bits;
  if (bits == 0 || bits >= infinity) return std::nullopt;
  return bits;
}

}  // namespace trapline
