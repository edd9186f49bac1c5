#include "symbols/dwarf_registers.h"

#include <algorithm>

namespace trapline::symbols {
namespace {

// System V ABI, AMD64 supplement, figure 3.36 "DWARF Register Number Mapping": 0 to 15, and 16 for
// the return address.
constexpr std::array kNames{X86Register::ax,  X86Register::dx,  X86Register::cx,  X86Register::bx,
                            X86Register::si,  X86Register::di,  X86Register::bp,  X86Register::sp,
                            X86Register::r8,  X86Register::r9,  X86Register::r10, X86Register::r11,
                            X86Register::r12, X86Register::r13, X86Register::r14, X86Register::r15,
                            X86Register::ip};

constexpr auto kRegisters = [] {
  std::array<std::uint8_t, kNames.size()> numbers{};
  std::ranges::transform(kNames, numbers.begin(),
                         [](X86Register name) { return static_cast<std::uint8_t>(name); });
  return numbers;
}();

constexpr DwarfNumbering kNumbering{
    .registers = kRegisters,
    .stack_pointer =
        static_cast<std::uint64_t>(std::ranges::find(kNames, X86Register::sp) - kNames.begin())};

}  // namespace

const DwarfNumbering& dwarf_numbering() {
  return kNumbering;
}

}  // namespace trapline::symbols
