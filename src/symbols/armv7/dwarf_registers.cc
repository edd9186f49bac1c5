#include "symbols/dwarf_registers.h"

namespace trapline::symbols {
namespace {

// DWARF for the Arm Architecture (AADWARF32), 4.1: r0 to r15 are 0 to 15, as perf numbers them.
constexpr std::size_t kCount = static_cast<std::size_t>(ArmRegister::pc) + 1;

}  // namespace

std::optional<DwarfRegisters> to_dwarf_registers(const UserRegisters& registers) {
  DwarfRegisters result;
  for (std::size_t number = 0; number < kCount; ++number) {
    const auto value = registers.get(number);
    if (!value) return std::nullopt;
    result.values[result.count++] = *value;
  }
  result.stack_pointer = *registers.get(ArmRegister::sp);
  result.instruction_pointer = *registers.get(ArmRegister::pc);
  return result;
}

std::uint64_t stack_pointer_number() {
  return static_cast<std::uint64_t>(ArmRegister::sp);
}

std::optional<int> link_register_number() {
  return static_cast<int>(ArmRegister::lr);
}

}  // namespace trapline::symbols
