// Conditions of Armv7 instructions, and the IT blocks of Thumb that give them. Pure.
//
// Source: Arm ARM Armv7-A/R (DDI 0406C), A8.3 (conditional execution), A2.5.2 (ITSTATE).
#pragma once

#include <cstdint>

namespace trapline::instructions::armv7 {

inline constexpr std::uint32_t kAlways = 0b1110;

struct Flags {
  bool n, z, c, v;
};
[[nodiscard]] constexpr Flags flags_of(std::uint32_t cpsr) {
  return {(cpsr >> 31 & 1) != 0, (cpsr >> 30 & 1) != 0, (cpsr >> 29 & 1) != 0,
          (cpsr >> 28 & 1) != 0};
}

// A8.3.1: the lowest bit turns the condition round, but for "always".
[[nodiscard]] constexpr bool holds(std::uint32_t condition, std::uint32_t cpsr) {
  const Flags flags = flags_of(cpsr);
  bool result = true;
  switch (condition >> 1) {
    case 0:
      result = flags.z;
      break;
    case 1:
      result = flags.c;
      break;
    case 2:
      result = flags.n;
      break;
    case 3:
      result = flags.v;
      break;
    case 4:
      result = flags.c && !flags.z;
      break;
    case 5:
      result = flags.n == flags.v;
      break;
    case 6:
      result = flags.n == flags.v && !flags.z;
      break;
    default:
      return true;
  }
  return (condition & 1) != 0 ? !result : result;
}

// ITSTATE is cpsr[15:10] and cpsr[26:25]; 0 outside of a block.
[[nodiscard]] constexpr std::uint32_t block_state(std::uint32_t cpsr) {
  return (cpsr >> 8 & 0xfc) | (cpsr >> 25 & 0b11);
}
// Of the IT block that the instruction is in.
[[nodiscard]] constexpr std::uint32_t block_condition(std::uint32_t cpsr) {
  const std::uint32_t state = block_state(cpsr);
  return (state & 0xf) == 0 ? kAlways : state >> 4;
}
// The cpsr behind one instruction of the block (ITAdvance); unchanged outside of a block.
[[nodiscard]] constexpr std::uint32_t behind_in_block(std::uint32_t cpsr) {
  constexpr std::uint32_t kBlockBits = 0x0600'fc00;
  const std::uint32_t state = block_state(cpsr);
  const std::uint32_t next =
      (state & 0b111) == 0 ? 0 : (state & 0b1110'0000) | (state << 1 & 0b1'1111);
  return (cpsr & ~kBlockBits) | (next & 0xfc) << 8 | (next & 0b11) << 25;
}

}  // namespace trapline::instructions::armv7
