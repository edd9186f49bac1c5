// Where an A64 instruction reads and writes memory, and what it stores. Pure; builds on any host.
//
// Source: Arm ARM (DDI 0487), C4.1 "A64 instruction set encoding", "Loads and Stores"; C6.2 and
// C7.2 for each instruction.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "trapline/base/units.h"

namespace trapline::instructions::arm64 {

// What becomes of the bytes that are written.
enum class StoredFrom : std::uint8_t {
  unknown,       // a vector register, a minimum ...
  registers,     // the registers named
  add,           // old + register
  clear,         // old & ~register
  exclusive_or,  // old ^ register
  set,           // old | register
  zero,
  registers_if_equal,  // the register named where old is the one expected, else old
};

struct MemoryAccess {
  static constexpr std::uint8_t kStackPointer = 31;  // as a base
  static constexpr std::uint8_t kZero = 31;          // as a source or an index

  bool reads = false;
  bool writes = false;
  // An exclusive store that fails writes nothing.
  bool may_fail = false;
  // Bytes from the address on: `count` elements of `size`.
  ByteCount size;
  std::uint8_t count = 1;

  // The address, from registers before the instruction: base + index extended and shifted +
  // displacement. Without a base it is relative to the instruction.
  std::optional<std::uint8_t> base;
  std::optional<std::uint8_t> index;
  enum class Extension : std::uint8_t { none, zero_32, sign_32 };
  Extension extension = Extension::none;
  std::uint8_t shift = 0;
  std::int64_t displacement = 0;
  // The address is rounded down to a block whose size the CPU tells (DC ZVA).
  bool is_block = false;

  StoredFrom from = StoredFrom::unknown;
  std::array<std::uint8_t, 2> sources{};  // one for each element, at most two
  std::uint8_t expected = kZero;          // of a comparison
};

// nullopt: neither a load nor a store. Prefetches and cache maintenance are neither.
[[nodiscard]] std::optional<MemoryAccess> memory_access(std::uint32_t instruction);

}  // namespace trapline::instructions::arm64
