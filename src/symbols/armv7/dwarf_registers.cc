#include "symbols/dwarf_registers.h"

#include <numeric>

namespace trapline::symbols {
namespace {

// DWARF for the Arm Architecture (AADWARF32), 4.1: r0 to r15 are 0 to 15, as perf numbers them.
constexpr auto kRegisters = [] {
  std::array<std::uint8_t, static_cast<std::size_t>(ArmRegister::pc) + 1> numbers{};
  std::iota(numbers.begin(), numbers.end(), std::uint8_t{0});
  return numbers;
}();

constexpr DwarfNumbering kNumbering{
    .registers = kRegisters,
    .stack_pointer = static_cast<std::uint64_t>(ArmRegister::sp),
    .link_register = static_cast<int>(ArmRegister::lr),
    .instruction_pointer = static_cast<std::uint8_t>(ArmRegister::pc)};

}  // namespace

const DwarfNumbering& dwarf_numbering() {
  return kNumbering;
}

}  // namespace trapline::symbols
