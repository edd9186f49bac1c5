// Values as debug registers and programs pass them: up to a word of eight bytes, the rest of the
// word zero.
#pragma once

#include <cstdint>

#include "trapline/base/units.h"

namespace trapline {

inline constexpr std::uint64_t kBitsPerByte = 8;
inline constexpr std::uint64_t kWordBytes = 8;

// The low `length` bytes of `bits`.
[[nodiscard]] constexpr std::uint64_t low_bytes(std::uint64_t bits, ByteCount length) {
  if (length.value >= kWordBytes) return bits;
  return bits & ((std::uint64_t{1} << (length.value * kBitsPerByte)) - 1);
}

}  // namespace trapline
