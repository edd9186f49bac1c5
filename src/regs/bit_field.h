// A named field of a register: where it lies, and nothing else.
#pragma once

#include <cstdint>

namespace trapline::regs {

struct BitField {
  unsigned low;
  unsigned width;

  [[nodiscard]] constexpr std::uint32_t mask() const {
    return ((std::uint32_t{1} << width) - 1) << low;
  }
  [[nodiscard]] constexpr std::uint32_t get(std::uint64_t value) const {
    return static_cast<std::uint32_t>(value >> low) & ((std::uint32_t{1} << width) - 1);
  }
  [[nodiscard]] constexpr std::uint32_t put(std::uint32_t field) const {
    return field << low & mask();
  }
};

}  // namespace trapline::regs
