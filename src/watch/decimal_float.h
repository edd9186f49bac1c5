// The floating-point number that is nearest to a decimal one, found in whole numbers alone: the
// core has no floating-point instructions. Pure; freestanding; any context, some 30 us.
#pragma once

#include <cstdint>
#include <optional>

namespace trapline {

// The interchange formats of IEEE 754: sign, exponent, fraction, from the highest bit down.
enum class FloatFormat : std::uint8_t { single_precision, double_precision };

// The bits of the number nearest to digits * 10^exponent, the even one of two. nullopt: it is
// nearer to infinity than to any number, or not zero and nearest to zero.
[[nodiscard]] std::optional<std::uint64_t> nearest_float(std::uint64_t digits, int exponent,
                                                         FloatFormat format);

}  // namespace trapline
