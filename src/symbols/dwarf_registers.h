// The registers that unwinding starts from, in the numbering of the architecture's DWARF ABI.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "trapline/port/user_registers.h"

namespace trapline::symbols {

// How the ABI numbers registers: one per architecture, in its folder.
struct DwarfNumbering {
  // By DWARF number from 0 on: the number of the same register in UserRegisters.
  std::span<const std::uint8_t> registers;
  std::uint64_t stack_pointer = 0;  // its DWARF number
  // That of the register in which a call leaves the return address; nullopt: it leaves it on the
  // stack.
  std::optional<int> link_register = std::nullopt;
  // The instruction pointer's number in UserRegisters, where unwinding has to be told it apart from
  // the others.
  std::optional<std::uint8_t> instruction_pointer = std::nullopt;
};
[[nodiscard]] const DwarfNumbering& dwarf_numbering();

struct DwarfRegisters {
  static constexpr std::size_t kCapacity = 64;
  std::array<std::uint64_t, kCapacity> values{};
  std::size_t count = 0;
  std::uint64_t stack_pointer = 0;
  std::optional<std::uint64_t> instruction_pointer = std::nullopt;  // as DwarfNumbering says
};

// nullopt if a register that unwinding needs was not captured.
[[nodiscard]] std::optional<DwarfRegisters> to_dwarf_registers(const UserRegisters& registers);

}  // namespace trapline::symbols
