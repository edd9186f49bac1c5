// The byte-address-select field that Arm's watchpoints have: one bit for each byte of an aligned
// window.
//
// Source: Arm ARM, DBGWCR.BAS: "each bit selects a byte within the word or doubleword"; runs that
// are not contiguous are CONSTRAINED UNPREDICTABLE from Armv8 on, and deprecated before.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>

#include "trapline/base/address.h"
#include "trapline/base/units.h"

namespace trapline::regs {

struct ByteRun {
  std::uint8_t offset = 0;  // of the first byte in the window
  std::uint8_t length = 0;
};

// The bits for `length` bytes from `address` on, in an aligned window of `window` (4 or 8) bytes;
// nullopt if they are none, or do not lie in one window.
[[nodiscard]] constexpr std::optional<std::uint8_t> select_bytes(RemoteAddress address,
                                                                 ByteCount length,
                                                                 ByteCount window) {
  const std::uint64_t offset = address.value() % window.value;
  if (length.value == 0 || length.value > window.value - offset) return std::nullopt;
  const std::uint64_t run = (std::uint64_t{1} << length.value) - 1;
  return static_cast<std::uint8_t>(run << offset);
}

// The run of bytes a field selects; nullopt if it selects none or has a gap.
[[nodiscard]] constexpr std::optional<ByteRun> selected_bytes(std::uint8_t bits) {
  if (bits == 0) return std::nullopt;
  const auto offset = static_cast<std::uint8_t>(std::countr_zero(bits));
  const auto length = static_cast<std::uint8_t>(std::popcount(bits));
  if (static_cast<unsigned>(bits >> offset) != (1U << length) - 1) return std::nullopt;
  return ByteRun{offset, length};
}

}  // namespace trapline::regs
