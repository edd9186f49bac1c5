// x86-64 over Capstone 4.

#include <capstone/capstone.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "decode/capstone_reader.h"
#include "decode/instruction.h"
#include "decode/x86/instruction_facts.h"

namespace trapline::decode {
namespace {

constexpr std::size_t kMaxInstructionLength = 15;  // SDM vol. 2A, 2.3.11
constexpr std::uint64_t kDirectionFlag = std::uint64_t{1} << 10;

// What the memory destination (operand 0) gets.
StoreEffect decode_effect(const cs_insn& instruction) {
  const cs_x86& x86 = instruction.detail->x86;
  StoreEffect effect;
  effect.kind = effect_kind(instruction.id);
  if (instruction.id == X86_INS_INC || instruction.id == X86_INS_DEC) {
    effect.immediate = 1;
  } else if (x86.op_count > 1 && x86.operands[1].type == X86_OP_IMM) {
    effect.immediate = static_cast<std::uint64_t>(x86.operands[1].imm);
  } else if (x86.op_count > 1 && x86.operands[1].type == X86_OP_REG) {
    const auto source = find_register(x86.operands[1].reg);
    if (!source) return {};
    effect.source_register = source->number;
    effect.register_shift = source->shift;
  }
  return effect;
}

}  // namespace

struct Disassembler::Impl {
  csh fast = 0;      // without detail, for walking
  csh detailed = 0;  // with operands
  cs_insn* scratch = nullptr;
  cs_insn* detailed_scratch = nullptr;

  // Whether the instruction changes a register that its own addresses are made of.
  [[nodiscard]] bool overwrites(const cs_insn& instruction, unsigned id) const {
    const auto used = find_register(id);
    if (!used) return true;
    const auto is_used = [&](unsigned written) {
      const auto target = find_register(written);
      return target && target->number == used->number;
    };
    const cs_x86& x86 = instruction.detail->x86;
    if (exchanges(instruction.id) && x86.operands[1].type == X86_OP_REG &&
        is_used(x86.operands[1].reg))
      return true;
    if (compares_and_exchanges(instruction.id) &&
        (is_used(X86_REG_RAX) || (instruction.id != X86_INS_CMPXCHG && is_used(X86_REG_RDX))))
      return true;
    cs_regs read{};
    cs_regs written{};
    std::uint8_t read_count = 0;
    std::uint8_t written_count = 0;
    if (cs_regs_access(detailed, &instruction, read, &read_count, written, &written_count) !=
        CS_ERR_OK)
      return true;
    return std::ranges::any_of(std::span(written, written_count), is_used);
  }

  [[nodiscard]] MemoryOperand decode_operand(const cs_insn& instruction, std::size_t index) const {
    const cs_x86_op& operand = instruction.detail->x86.operands[index];
    MemoryOperand memory;
    memory.size = ByteCount{operand.size};
    correct_size(instruction.id, memory);
    memory.writes = index == 0 && !reads_first_operand(instruction);
    memory.reads = (operand.access & CS_AC_READ) != 0 || !memory.writes;
    memory.displacement = operand.mem.disp;
    memory.scale = static_cast<std::uint8_t>(operand.mem.scale);
    memory.pointer_moved = moves_pointer(instruction);
    memory.is_repeated = is_repeated(instruction);
    memory.is_32_bit = instruction.detail->x86.addr_size == 4;
    memory.is_computable = operand.mem.segment != X86_REG_FS && operand.mem.segment != X86_REG_GS &&
                           !uses_vector_index(instruction) && !addresses_bit_string(instruction);
    use_base(instruction, operand, memory);
    if (operand.mem.index != X86_REG_INVALID) {
      const auto found = find_register(operand.mem.index);
      if (found) memory.index = found->number;
      memory.is_computable =
          memory.is_computable && found && !overwrites(instruction, operand.mem.index);
    }
    return memory;
  }

  void use_base(const cs_insn& instruction, const cs_x86_op& operand, MemoryOperand& memory) const {
    if (operand.mem.base == X86_REG_INVALID) return;
    if (operand.mem.base == X86_REG_RIP || operand.mem.base == X86_REG_EIP) {
      memory.displacement += static_cast<std::int64_t>(instruction.address + instruction.size);
      return;
    }
    const auto found = find_register(operand.mem.base);
    if (found) memory.base = found->number;
    if (memory.pointer_moved) return;
    const bool is_stack = found && found->number == number(X86Register::sp);
    // SDM vol. 2B: push computes its operand's address before it moves the stack pointer, pop
    // after.
    if (is_stack && instruction.id == X86_INS_POP) return;
    if (is_stack && instruction.id == X86_INS_PUSH) {
      memory.displacement += operand.size;
      return;
    }
    memory.is_computable =
        memory.is_computable && found && !overwrites(instruction, operand.mem.base);
  }
};

namespace {

constexpr std::uint64_t kStackWordBytes = 8;

bool has_16_bit_operand(const cs_insn& instruction) {
  constexpr std::uint8_t kOperandSizePrefix = 0x66;
  return instruction.detail->x86.prefix[2] == kOperandSizePrefix;
}

ByteCount stack_slot(const cs_insn& instruction) {
  return ByteCount{has_16_bit_operand(instruction) ? 2 : kStackWordBytes};
}

// What a push leaves in memory.
StoreEffect pushed_value(const cs_insn& instruction) {
  StoreEffect effect;
  const cs_x86& x86 = instruction.detail->x86;
  if (instruction.id == X86_INS_CALL) {
    effect.kind = StoreEffect::Kind::assign;
    effect.immediate = instruction.address + instruction.size;
  } else if (instruction.id == X86_INS_PUSH && x86.operands[0].type == X86_OP_IMM) {
    effect.kind = StoreEffect::Kind::assign;
    effect.immediate = static_cast<std::uint64_t>(x86.operands[0].imm);
  } else if (instruction.id == X86_INS_PUSH && x86.operands[0].type == X86_OP_REG) {
    const auto source = find_register(x86.operands[0].reg);
    // The stack pointer is pushed as it was before.
    if (!source || source->number == number(X86Register::sp)) return effect;
    effect.kind = StoreEffect::Kind::assign;
    effect.source_register = source->number;
  }
  return effect;
}

MemoryOperand at_register(X86Register base, ByteCount size) {
  MemoryOperand memory;
  memory.base = number(base);
  memory.size = size;
  return memory;
}

// Memory that an instruction touches without naming it.
std::optional<MemoryOperand> implied_operand(const cs_insn& instruction) {
  const cs_x86& x86 = instruction.detail->x86;
  switch (instruction.id) {
    case X86_INS_CALL:
    case X86_INS_PUSH:
    case X86_INS_PUSHF:
    case X86_INS_PUSHFQ: {
      // Below the old stack pointer, which is where the new one points.
      const bool is_call = instruction.id == X86_INS_CALL;
      auto memory = at_register(X86Register::sp,
                                is_call ? ByteCount{kStackWordBytes} : stack_slot(instruction));
      memory.writes = true;
      return memory;
    }
    case X86_INS_POP:
    case X86_INS_POPF:
    case X86_INS_POPFQ:
    case X86_INS_LEAVE: {
      auto memory = at_register(X86Register::sp, stack_slot(instruction));
      memory.reads = true;
      memory.displacement = -static_cast<std::int64_t>(memory.size.value);
      memory.is_computable = x86.op_count == 0 || x86.operands[0].type != X86_OP_REG ||
                             x86.operands[0].reg != X86_REG_RSP;
      return memory;
    }
    case X86_INS_ENTER: {
      auto memory = at_register(X86Register::bp, ByteCount{kStackWordBytes});
      memory.writes = true;
      memory.is_computable = x86.operands[1].imm == 0;  // deeper ones copy frame pointers besides
      return memory;
    }
    case X86_INS_MASKMOVDQU:
    case X86_INS_VMASKMOVDQU:
    case X86_INS_MASKMOVQ: {
      auto memory = at_register(X86Register::di, ByteCount{x86.operands[0].size});
      memory.writes = true;
      return memory;
    }
    case X86_INS_XLATB: {
      auto memory = at_register(X86Register::bx, ByteCount{1});
      memory.reads = true;
      memory.is_computable = false;  // its index, al, is what it overwrites
      return memory;
    }
    default:
      return std::nullopt;
  }
}

void add_implied(const cs_insn& instruction, Instruction& decoded) {
  decoded.is_call = instruction.id == X86_INS_CALL;
  const cs_x86& x86 = instruction.detail->x86;
  if (decoded.is_call && x86.operands[0].type == X86_OP_IMM)
    decoded.call_target = RemoteAddress(static_cast<std::uint64_t>(x86.operands[0].imm));
  auto implied = implied_operand(instruction);
  if (!implied || decoded.operand_count == decoded.operands.size()) return;
  // pop [mem] has its effect on the operand it names.
  if (implied->writes) implied->effect = pushed_value(instruction);
  decoded.operands[decoded.operand_count++] = *implied;
}

}  // namespace

Disassembler::Disassembler() : impl_(std::make_unique<Impl>()) {
  // Failing here means that the library was built without x86, which the package is not.
  cs_open(CS_ARCH_X86, CS_MODE_64, &impl_->fast);
  cs_open(CS_ARCH_X86, CS_MODE_64, &impl_->detailed);
  cs_option(impl_->detailed, CS_OPT_DETAIL, CS_OPT_ON);
  impl_->scratch = cs_malloc(impl_->fast);
  impl_->detailed_scratch = cs_malloc(impl_->detailed);
}

Disassembler::~Disassembler() {
  cs_free(impl_->scratch, 1);
  cs_free(impl_->detailed_scratch, 1);
  cs_close(&impl_->fast);
  cs_close(&impl_->detailed);
}

std::size_t Disassembler::max_length() {
  return kMaxInstructionLength;
}

std::size_t Disassembler::length_at(std::span<const std::byte> code, RemoteAddress ip) {
  return read_instruction(impl_->fast, code, ip, impl_->scratch) ? impl_->scratch->size : 0;
}

std::size_t Disassembler::readings() {
  return 1;
}

bool Disassembler::traps_before_access() {
  return false;
}

std::optional<Instruction> Disassembler::decode(std::span<const std::byte> code, RemoteAddress ip,
                                                std::size_t /*reading*/) {
  if (!read_instruction(impl_->detailed, code, ip, impl_->detailed_scratch)) return std::nullopt;
  const cs_insn& raw = *impl_->detailed_scratch;
  Instruction decoded;
  decoded.ip = ip;
  decoded.length = static_cast<std::uint8_t>(raw.size);
  decoded.text = text_of(raw);
  decoded.falls_through = !goes_elsewhere(raw.id);
  decoded.may_trap_at_itself = is_repeated(raw);
  const cs_x86& x86 = raw.detail->x86;
  for (std::size_t index = 0; index < x86.op_count; ++index) {
    if (x86.operands[index].type != X86_OP_MEM || touches_nothing(raw)) continue;
    // No instruction names more than two memory operands; a push has one of its own besides.
    if (decoded.operand_count == decoded.operands.size()) break;
    MemoryOperand& operand = decoded.operands[decoded.operand_count++];
    operand = impl_->decode_operand(raw, index);
    if (index == 0) operand.effect = decode_effect(raw);
  }
  add_implied(raw, decoded);
  return decoded;
}

std::optional<bool> moves_down(const UserRegisters& registers) {
  const auto flags = registers.get(X86Register::flags);
  if (!flags) return std::nullopt;
  return (*flags & kDirectionFlag) != 0;
}

std::optional<RemoteAddress> stack_pointer(const UserRegisters& registers) {
  const auto value = registers.get(X86Register::sp);
  if (!value) return std::nullopt;
  return RemoteAddress(*value);
}

}  // namespace trapline::decode
