// arm64: where an instruction touches memory is read from its encoding
// (instructions/arm64/memory_access.h); Capstone 4 gives the text.

#include <capstone/capstone.h>

#include <cstring>

#include "decode/capstone_reader.h"
#include "decode/instruction.h"
#include "instructions/arm64/memory_access.h"

namespace trapline::decode {
namespace {

using instructions::arm64::MemoryAccess;
using instructions::arm64::StoredFrom;

constexpr std::size_t kInstructionLength = 4;

// As a base, number 31 is the stack pointer, and perf numbers it so.
static_assert(static_cast<unsigned>(Arm64Register::sp) == MemoryAccess::kStackPointer);

StoreEffect::Kind kind_of(StoredFrom from) {
  using Kind = StoreEffect::Kind;
  switch (from) {
    case StoredFrom::registers:
    case StoredFrom::zero:
      return Kind::assign;
    case StoredFrom::add:
      return Kind::add;
    case StoredFrom::clear:
      return Kind::bit_clear;
    case StoredFrom::exclusive_or:
      return Kind::bit_xor;
    case StoredFrom::set:
      return Kind::bit_or;
    case StoredFrom::registers_if_equal:
      return Kind::assign_if_equal;
    case StoredFrom::unknown:
      return Kind::unknown;
  }
  return Kind::unknown;
}

StoreEffect effect_of(const MemoryAccess& access, std::size_t element) {
  StoreEffect effect;
  if (!access.writes || access.may_fail) return effect;
  effect.kind = kind_of(access.from);
  const bool is_zero =
      access.from == StoredFrom::zero || access.sources[element] == MemoryAccess::kZero;
  if (effect.kind != StoreEffect::Kind::unknown && !is_zero)
    effect.source_register = access.sources[element];
  if (access.expected != MemoryAccess::kZero) effect.expected_register = access.expected;
  return effect;
}

// Where the whole access begins, as long as one element of it.
MemoryOperand first_operand(const MemoryAccess& access, RemoteAddress ip) {
  MemoryOperand operand;
  operand.reads = access.reads;
  operand.writes = access.writes;
  operand.size = access.size;
  operand.base = access.base;
  // As an index, number 31 is the zero register.
  if (access.index != MemoryAccess::kZero) operand.index = access.index;
  operand.scale = static_cast<std::uint8_t>(1U << access.shift);
  operand.displacement = access.displacement;
  if (!access.base) operand.displacement += static_cast<std::int64_t>(ip.value());
  if (access.extension == MemoryAccess::Extension::zero_32)
    operand.index_extension = MemoryOperand::IndexExtension::zero_32;
  if (access.extension == MemoryAccess::Extension::sign_32)
    operand.index_extension = MemoryOperand::IndexExtension::sign_32;
  operand.is_computable = !access.is_block;
  return operand;
}

// An operand for each of two registers, because each has a value of its own; else one for all.
void add_operands(const MemoryAccess& access, Instruction& decoded) {
  const MemoryOperand first = first_operand(access, decoded.ip);
  const bool one_by_one = access.count <= decoded.operands.size();
  decoded.operand_count = one_by_one ? access.count : 1;
  for (std::size_t element = 0; element < decoded.operand_count; ++element) {
    MemoryOperand& operand = decoded.operands[element];
    operand = first;
    operand.displacement += static_cast<std::int64_t>(element * access.size.value);
    if (one_by_one) operand.effect = effect_of(access, element);
  }
  if (!one_by_one) decoded.operands[0].size = ByteCount{access.size.value * access.count};
}

}  // namespace

struct Disassembler::Impl {
  csh handle = 0;
  cs_insn* scratch = nullptr;
};

Disassembler::Disassembler() : impl_(std::make_unique<Impl>()) {
  // Failing here means that the library was built without arm64, which the package is not.
  cs_open(CS_ARCH_ARM64, CS_MODE_LITTLE_ENDIAN, &impl_->handle);
  impl_->scratch = cs_malloc(impl_->handle);
}

Disassembler::~Disassembler() {
  cs_free(impl_->scratch, 1);
  cs_close(&impl_->handle);
}

std::size_t Disassembler::max_length() {
  return kInstructionLength;
}

std::size_t Disassembler::readings() {
  return 1;
}

bool Disassembler::traps_before_access() {
  return true;
}

std::size_t Disassembler::length_at(std::span<const std::byte> code, RemoteAddress /*ip*/) {
  return code.size() < kInstructionLength ? 0 : kInstructionLength;
}

std::optional<Instruction> Disassembler::decode(std::span<const std::byte> code, RemoteAddress ip,
                                                std::size_t /*reading*/) {
  if (code.size() < kInstructionLength) return std::nullopt;
  std::uint32_t word = 0;
  std::memcpy(&word, code.data(), sizeof word);
  Instruction decoded;
  decoded.ip = ip;
  decoded.length = kInstructionLength;
  // What is newer than the library has no text, but its encoding tells all the same.
  if (read_instruction(impl_->handle, code, ip, impl_->scratch))
    decoded.text = text_of(*impl_->scratch);
  if (const auto access = instructions::arm64::memory_access(word)) add_operands(*access, decoded);
  return decoded;
}

std::optional<bool> moves_down(const UserRegisters& /*registers*/) {
  return false;  // no instruction repeats
}

std::optional<RemoteAddress> stack_pointer(const UserRegisters& registers) {
  const auto value = registers.get(Arm64Register::sp);
  if (!value) return std::nullopt;
  return RemoteAddress(*value);
}

}  // namespace trapline::decode
