#include "decode/instruction.h"

namespace trapline::decode {
namespace {

constexpr std::uint64_t kLow32Bits = 0xffffffff;
constexpr std::uint64_t kSign32 = 0x80000000;

std::uint64_t extend(std::uint64_t index, MemoryOperand::IndexExtension extension) {
  using Extension = MemoryOperand::IndexExtension;
  switch (extension) {
    case Extension::none:
      return index;
    case Extension::zero_32:
      return index & kLow32Bits;
    case Extension::sign_32:
      return ((index & kLow32Bits) ^ kSign32) - kSign32;
  }
  return index;
}

}  // namespace

std::optional<RemoteAddress> effective_address(const MemoryOperand& operand,
                                               const UserRegisters& registers) {
  if (!operand.is_computable) return std::nullopt;
  std::uint64_t address = static_cast<std::uint64_t>(operand.displacement);
  if (operand.base) {
    const auto base = registers.get(*operand.base);
    if (!base) return std::nullopt;
    address += *base;
  }
  if (operand.index) {
    const auto index = registers.get(*operand.index);
    if (!index) return std::nullopt;
    address += extend(*index, operand.index_extension) * operand.scale;
  }
  if (operand.pointer_moved) {
    const auto is_down = moves_down(registers);
    if (!is_down) return std::nullopt;
    address += *is_down ? operand.size.value : ~operand.size.value + 1;
  }
  return RemoteAddress(operand.is_32_bit ? address & kLow32Bits : address);
}

}  // namespace trapline::decode
