// The registers that unwinding starts from, in the numbering of the architecture's DWARF ABI. One
// body per architecture.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "trapline/port/user_registers.h"

namespace trapline::symbols {

struct DwarfRegisters {
  static constexpr std::size_t kCapacity = 64;
  std::array<std::uint64_t, kCapacity> values{};
  std::size_t count = 0;
  std::uint64_t stack_pointer = 0;
};

// nullopt if a register that unwinding needs was not captured.
[[nodiscard]] std::optional<DwarfRegisters> to_dwarf_registers(const UserRegisters& registers);

// The DWARF number of the stack pointer.
[[nodiscard]] std::uint64_t stack_pointer_number();

}  // namespace trapline::symbols
