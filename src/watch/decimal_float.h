// The floating-point number that is nearest to a decimal one, found in whole numbers alone: the
// core has no floating-point instructions. Pure; freestanding; any context, some 30 us.
#pragma once

#include <cstdint>
#include <optional>

namespace trapline {

// An interchange format of IEEE 754: sign, exponent, fraction, from the highest bit down.
struct FloatFormat {
  unsigned fraction_bits;
  unsigned exponent_bits;

  [[nodiscard]] constexpr std::uint64_t infinity() const {
    return ((std::uint64_t{1} << exponent_bits) - 1) << fraction_bits;
  }
};
inline constexpr FloatFormat kSingleFloat{23, 8};
inline constexpr FloatFormat kDoubleFloat{52, 11};

// The bits of the number nearest to digits * 10^exponent, the even one of two. nullopt: it is
// nearer to infinity than to any number, or not zero and nearest to zero.
[[nodiscard]] std::optional<std::uint64_t> nearest_float(std::uint64_t digits, int exponent,
                                                         FloatFormat format);

}  // namespace trapline
