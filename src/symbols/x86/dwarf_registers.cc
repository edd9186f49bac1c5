#include "symbols/dwarf_registers.h"

#include <algorithm>

namespace trapline::symbols {
namespace {

// System V ABI, AMD64 supplement, figure 3.36 "DWARF Register Number Mapping": 0 to 15, and 16 for
// the return address.
constexpr std::array kOrder{X86Register::ax,  X86Register::dx,  X86Register::cx,  X86Register::bx,
                            X86Register::si,  X86Register::di,  X86Register::bp,  X86Register::sp,
                            X86Register::r8,  X86Register::r9,  X86Register::r10, X86Register::r11,
                            X86Register::r12, X86Register::r13, X86Register::r14, X86Register::r15,
                            X86Register::ip};

}  // namespace

std::optional<DwarfRegisters> to_dwarf_registers(const UserRegisters& registers) {
  DwarfRegisters result;
  for (const X86Register name : kOrder) {
    const auto value = registers.get(name);
    if (!value) return std::nullopt;
    result.values[result.count++] = *value;
    if (name == X86Register::sp) result.stack_pointer = *value;
  }
  return result;
}

std::uint64_t stack_pointer_number() {
  return static_cast<std::uint64_t>(std::ranges::find(kOrder, X86Register::sp) - kOrder.begin());
}

std::optional<int> link_register_number() {
  return std::nullopt;
}

}  // namespace trapline::symbols
