#include "symbols/dwarf_registers.h"

#include <numeric>

namespace trapline::symbols {
namespace {

// DWARF for the Arm 64-bit Architecture (AADWARF64), 4.1: x0 to x30 are 0 to 30, sp is 31. The
// same as perf's, and the instruction pointer has no number that unwinding uses.
constexpr auto kRegisters = [] {
  std::array<std::uint8_t, static_cast<std::size_t>(Arm64Register::sp) + 1> numbers{};
  std::iota(numbers.begin(), numbers.end(), std::uint8_t{0});
  return numbers;
}();

constexpr DwarfNumbering kNumbering{
    .registers = kRegisters,
    .stack_pointer = static_cast<std::uint64_t>(Arm64Register::sp),
    .link_register = static_cast<int>(Arm64Register::lr),
    .instruction_pointer = static_cast<std::uint8_t>(Arm64Register::pc)};

}  // namespace

const DwarfNumbering& dwarf_numbering() {
  return kNumbering;
}

}  // namespace trapline::symbols
