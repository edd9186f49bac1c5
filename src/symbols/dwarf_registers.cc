#include "symbols/dwarf_registers.h"

namespace trapline::symbols {

std::optional<DwarfRegisters> to_dwarf_registers(const UserRegisters& registers) {
  const DwarfNumbering& numbering = dwarf_numbering();
  DwarfRegisters result;
  for (const std::uint8_t number : numbering.registers) {
    const auto value = registers.get(number);
    if (!value) return std::nullopt;
    result.values[result.count++] = *value;
  }
  result.stack_pointer = result.values[static_cast<std::size_t>(numbering.stack_pointer)];
  if (numbering.instruction_pointer) {
    result.instruction_pointer = registers.get(*numbering.instruction_pointer);
    if (!result.instruction_pointer) return std::nullopt;
  }
  return result;
}

}  // namespace trapline::symbols
