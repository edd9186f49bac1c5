#include "symbols/dwarf_registers.h"

namespace trapline::symbols {
namespace {

// DWARF for the Arm 64-bit Architecture (AADWARF64), 4.1: x0 to x30 are 0 to 30, sp is 31. The
// same as perf's, and the instruction pointer has no number that unwinding uses.
constexpr std::size_t kCount = static_cast<std::size_t>(Arm64Register::sp) + 1;

}  // namespace

std::optional<DwarfRegisters> to_dwarf_registers(const UserRegisters& registers) {
  DwarfRegisters result;
  for (std::size_t number = 0; number < kCount; ++number) {
    const auto value = registers.get(number);
    if (!value) return std::nullopt;
    result.values[result.count++] = *value;
  }
  result.stack_pointer = *registers.get(Arm64Register::sp);
  result.instruction_pointer = registers.get(Arm64Register::pc);
  if (!result.instruction_pointer) return std::nullopt;
  return result;
}

std::uint64_t stack_pointer_number() {
  return static_cast<std::uint64_t>(Arm64Register::sp);
}

std::optional<int> link_register_number() {
  return static_cast<int>(Arm64Register::lr);
}

}  // namespace trapline::symbols
