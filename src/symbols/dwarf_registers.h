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
  // Where the ABI's numbering has none for it.
  std::optional<std::uint64_t> instruction_pointer = std::nullopt;
};

// nullopt if a register that unwinding needs was not captured.
[[nodiscard]] std::optional<DwarfRegisters> to_dwarf_registers(const UserRegisters& registers);

// The DWARF number of the stack pointer.
[[nodiscard]] std::uint64_t stack_pointer_number();
// That of the register in which a call leaves the return address; nullopt: it leaves it on the
// stack.
[[nodiscard]] std::optional<int> link_register_number();

}  // namespace trapline::symbols
