// Instructions as numbers, read from memory.
#pragma once

#include <cstdint>

namespace trapline::isa::armv7 {

// Whether a Thumb instruction that begins with this halfword has a second one (Arm ARM A6.1).
[[nodiscard]] constexpr bool is_wide_thumb(std::uint32_t halfword) {
  return halfword >= 0xe800;
}

// The instruction at an address that is executable, and so can be read: a word (ARM), a halfword,
// or the first halfword above the second (Thumb).
[[nodiscard]] inline std::uint32_t instruction_at(std::uint32_t address, bool is_thumb) {
  if (!is_thumb) return *reinterpret_cast<const volatile std::uint32_t*>(address);
  const auto* const halves = reinterpret_cast<const volatile std::uint16_t*>(address);
  const std::uint32_t first = halves[0];
  return is_wide_thumb(first) ? first << 16 | halves[1] : first;
}

}  // namespace trapline::isa::armv7
