// x86-64 over Capstone 4.
//
// Capstone 4 reports the memory operand of many stores (movups, vmovdqu, fstp, cmpxchg ...) as read
// only. What a memory destination means is therefore taken from its place: the first operand is the
// destination, but for the instructions listed in reads_first_operand().

#include <capstone/capstone.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "decode/instruction.h"

namespace trapline::decode {
namespace {

constexpr std::size_t kMaxInstructionLength = 15;  // SDM vol. 2A, 2.3.11
constexpr std::uint64_t kDirectionFlag = std::uint64_t{1} << 10;
constexpr std::uint8_t kHighByteShift = 8;

constexpr std::uint8_t number(X86Register name) {
  return static_cast<std::uint8_t>(name);
}

// One general register and all the names of its parts.
struct RegisterNames {
  X86Register whole;
  std::array<x86_reg, 4> low_parts;  // 64, 32, 16 and 8 bits
  x86_reg high_byte;
};

constexpr std::array kRegisters{
    RegisterNames{X86Register::ax, {X86_REG_RAX, X86_REG_EAX, X86_REG_AX, X86_REG_AL}, X86_REG_AH},
    RegisterNames{X86Register::bx, {X86_REG_RBX, X86_REG_EBX, X86_REG_BX, X86_REG_BL}, X86_REG_BH},
    RegisterNames{X86Register::cx, {X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL}, X86_REG_CH},
    RegisterNames{X86Register::dx, {X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL}, X86_REG_DH},
    RegisterNames{
        X86Register::si, {X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL}, X86_REG_INVALID},
    RegisterNames{
        X86Register::di, {X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL}, X86_REG_INVALID},
    RegisterNames{
        X86Register::bp, {X86_REG_RBP, X86_REG_EBP, X86_REG_BP, X86_REG_BPL}, X86_REG_INVALID},
    RegisterNames{
        X86Register::sp, {X86_REG_RSP, X86_REG_ESP, X86_REG_SP, X86_REG_SPL}, X86_REG_INVALID},
    RegisterNames{
        X86Register::r8, {X86_REG_R8, X86_REG_R8D, X86_REG_R8W, X86_REG_R8B}, X86_REG_INVALID},
    RegisterNames{
        X86Register::r9, {X86_REG_R9, X86_REG_R9D, X86_REG_R9W, X86_REG_R9B}, X86_REG_INVALID},
    RegisterNames{
        X86Register::r10, {X86_REG_R10, X86_REG_R10D, X86_REG_R10W, X86_REG_R10B}, X86_REG_INVALID},
    RegisterNames{
        X86Register::r11, {X86_REG_R11, X86_REG_R11D, X86_REG_R11W, X86_REG_R11B}, X86_REG_INVALID},
    RegisterNames{
        X86Register::r12, {X86_REG_R12, X86_REG_R12D, X86_REG_R12W, X86_REG_R12B}, X86_REG_INVALID},
    RegisterNames{
        X86Register::r13, {X86_REG_R13, X86_REG_R13D, X86_REG_R13W, X86_REG_R13B}, X86_REG_INVALID},
    RegisterNames{
        X86Register::r14, {X86_REG_R14, X86_REG_R14D, X86_REG_R14W, X86_REG_R14B}, X86_REG_INVALID},
    RegisterNames{
        X86Register::r15, {X86_REG_R15, X86_REG_R15D, X86_REG_R15W, X86_REG_R15B}, X86_REG_INVALID},
};

struct RegisterPart {
  std::uint8_t number;
  std::uint8_t shift;
};

std::optional<RegisterPart> find_register(unsigned id) {
  for (const RegisterNames& names : kRegisters) {
    if (names.high_byte != X86_REG_INVALID && id == names.high_byte)
      return RegisterPart{number(names.whole), kHighByteShift};
    if (std::ranges::find(names.low_parts, static_cast<x86_reg>(id)) != names.low_parts.end()) {
      return RegisterPart{number(names.whole), 0};
    }
  }
  return std::nullopt;
}

bool is_one_of(unsigned id, std::span<const x86_insn> set) {
  return std::ranges::find(set, static_cast<x86_insn>(id)) != set.end();
}

// Instructions whose first operand is memory that they only read, or only name.
bool reads_first_operand(const cs_insn& instruction) {
  static constexpr std::array kReaders{
      X86_INS_CMP,    X86_INS_TEST,    X86_INS_PUSH,     X86_INS_CALL,      X86_INS_JMP,
      X86_INS_LCALL,  X86_INS_LJMP,    X86_INS_BT,       X86_INS_MUL,       X86_INS_IMUL,
      X86_INS_DIV,    X86_INS_IDIV,    X86_INS_LDMXCSR,  X86_INS_FXRSTOR,   X86_INS_FLD,
      X86_INS_FILD,   X86_INS_FBLD,    X86_INS_FADD,     X86_INS_FIADD,     X86_INS_FMUL,
      X86_INS_FIMUL,  X86_INS_FSUB,    X86_INS_FISUB,    X86_INS_FSUBR,     X86_INS_FISUBR,
      X86_INS_FDIV,   X86_INS_FIDIV,   X86_INS_FDIVR,    X86_INS_FIDIVR,    X86_INS_FCOM,
      X86_INS_FCOMP,  X86_INS_FICOM,   X86_INS_FICOMP,   X86_INS_FLDCW,     X86_INS_FLDENV,
      X86_INS_FRSTOR, X86_INS_XRSTOR,  X86_INS_XRSTOR64, X86_INS_FXRSTOR64, X86_INS_CMPSB,
      X86_INS_CMPSW,  X86_INS_CMPSD,   X86_INS_CMPSQ,    X86_INS_OUTSB,     X86_INS_OUTSW,
      X86_INS_OUTSD,  X86_INS_CLFLUSH, X86_INS_VLDMXCSR};
  return is_one_of(instruction.id, kReaders);
}

// Instructions that name memory without touching it.
bool touches_nothing(const cs_insn& instruction) {
  return instruction.id == X86_INS_LEA || instruction.id == X86_INS_NOP ||
         instruction.id == X86_INS_INVLPG ||
         std::string_view(instruction.mnemonic).starts_with("prefetch");
}

// String instructions advance the pointer they use.
bool is_string_instruction(unsigned id) {
  static constexpr std::array kStrings{
      X86_INS_STOSB, X86_INS_STOSW, X86_INS_STOSD, X86_INS_STOSQ, X86_INS_MOVSB, X86_INS_MOVSW,
      X86_INS_MOVSQ, X86_INS_LODSB, X86_INS_LODSW, X86_INS_LODSD, X86_INS_LODSQ, X86_INS_SCASB,
      X86_INS_SCASW, X86_INS_SCASD, X86_INS_SCASQ, X86_INS_CMPSB, X86_INS_CMPSW, X86_INS_CMPSQ,
      X86_INS_INSB,  X86_INS_INSW,  X86_INS_INSD,  X86_INS_OUTSB, X86_INS_OUTSW, X86_INS_OUTSD};
  return is_one_of(id, kStrings);
}

// movsd and cmpsd are also SSE2 instructions; the string forms have no register operand.
bool moves_pointer(const cs_insn& instruction) {
  if (is_string_instruction(instruction.id)) return true;
  if (instruction.id != X86_INS_MOVSD && instruction.id != X86_INS_CMPSD) return false;
  const cs_x86& x86 = instruction.detail->x86;
  return std::ranges::all_of(std::span(x86.operands, x86.op_count),
                             [](const cs_x86_op& operand) { return operand.type == X86_OP_MEM; });
}

bool is_repeated(const cs_insn& instruction) {
  const std::uint8_t prefix = instruction.detail->x86.prefix[0];
  return moves_pointer(instruction) && (prefix == X86_PREFIX_REP || prefix == X86_PREFIX_REPNE);
}

StoreEffect::Kind effect_kind(unsigned id) {
  using Kind = StoreEffect::Kind;
  static constexpr std::array kEffects{
      std::pair{X86_INS_MOV, Kind::assign},    std::pair{X86_INS_MOVABS, Kind::assign},
      std::pair{X86_INS_MOVNTI, Kind::assign}, std::pair{X86_INS_STOSB, Kind::assign},
      std::pair{X86_INS_STOSW, Kind::assign},  std::pair{X86_INS_STOSD, Kind::assign},
      std::pair{X86_INS_STOSQ, Kind::assign},  std::pair{X86_INS_ADD, Kind::add},
      std::pair{X86_INS_INC, Kind::add},       std::pair{X86_INS_SUB, Kind::subtract},
      std::pair{X86_INS_DEC, Kind::subtract},  std::pair{X86_INS_AND, Kind::bit_and},
      std::pair{X86_INS_OR, Kind::bit_or},     std::pair{X86_INS_XOR, Kind::bit_xor},
      std::pair{X86_INS_NEG, Kind::negate},    std::pair{X86_INS_NOT, Kind::complement}};
  for (const auto& [instruction, kind] : kEffects) {
    if (id == instruction) return kind;
  }
  return Kind::unknown;
}

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

  [[nodiscard]] bool overwrites(const cs_insn& instruction, unsigned id) const {
    const auto used = find_register(id);
    cs_regs read{};
    cs_regs written{};
    std::uint8_t read_count = 0;
    std::uint8_t written_count = 0;
    if (cs_regs_access(detailed, &instruction, read, &read_count, written, &written_count) !=
        CS_ERR_OK)
      return true;
    return std::ranges::any_of(std::span(written, written_count), [&](std::uint16_t register_id) {
      const auto target = find_register(register_id);
      return used && target && target->number == used->number;
    });
  }

  [[nodiscard]] MemoryOperand decode_operand(const cs_insn& instruction, std::size_t index) const {
    const cs_x86_op& operand = instruction.detail->x86.operands[index];
    MemoryOperand memory;
    memory.size = ByteCount{operand.size};
    const bool is_destination = index == 0 && !reads_first_operand(instruction);
    memory.writes = is_destination || (operand.access & CS_AC_WRITE) != 0;
    memory.reads = (operand.access & CS_AC_READ) != 0 || !memory.writes;
    memory.displacement = operand.mem.disp;
    memory.scale = static_cast<std::uint8_t>(operand.mem.scale);
    memory.pointer_moved = moves_pointer(instruction);
    memory.is_computable = operand.mem.segment != X86_REG_FS && operand.mem.segment != X86_REG_GS &&
                           !is_repeated(instruction);
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
    if (operand.mem.base == X86_REG_RIP) {
      memory.displacement += static_cast<std::int64_t>(instruction.address + instruction.size);
      return;
    }
    const auto found = find_register(operand.mem.base);
    if (found) memory.base = found->number;
    const bool changed = !memory.pointer_moved && overwrites(instruction, operand.mem.base);
    memory.is_computable = memory.is_computable && found && !changed;
  }
};

namespace {

// push and call write below the old stack pointer, which is where the new one points.
void add_push(const cs_insn& instruction, Instruction& decoded) {
  constexpr std::uint64_t kWordBytes = 8;
  decoded.is_call = instruction.id == X86_INS_CALL;
  if (!decoded.is_call && instruction.id != X86_INS_PUSH && instruction.id != X86_INS_PUSHFQ)
    return;
  MemoryOperand pushed;
  pushed.writes = true;
  pushed.size = ByteCount{kWordBytes};
  pushed.base = number(X86Register::sp);
  decoded.operands[decoded.operand_count++] = pushed;
  decoded.effect = {};
  if (decoded.is_call) {
    decoded.effect.kind = StoreEffect::Kind::assign;
    decoded.effect.immediate = instruction.address + instruction.size;
    return;
  }
  const cs_x86& x86 = instruction.detail->x86;
  if (x86.op_count != 1) return;
  if (x86.operands[0].type == X86_OP_IMM) {
    decoded.effect.kind = StoreEffect::Kind::assign;
    decoded.effect.immediate = static_cast<std::uint64_t>(x86.operands[0].imm);
  } else if (x86.operands[0].type == X86_OP_REG && x86.operands[0].reg != X86_REG_RSP) {
    const auto source = find_register(x86.operands[0].reg);
    if (!source) return;
    decoded.effect.kind = StoreEffect::Kind::assign;
    decoded.effect.source_register = source->number;
  }
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
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(code.data());
  std::size_t size = code.size();
  std::uint64_t address = ip.value();
  return cs_disasm_iter(impl_->fast, &bytes, &size, &address, impl_->scratch) ? impl_->scratch->size
                                                                              : 0;
}

std::optional<Instruction> Disassembler::decode(std::span<const std::byte> code, RemoteAddress ip) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(code.data());
  std::size_t size = code.size();
  std::uint64_t address = ip.value();
  if (!cs_disasm_iter(impl_->detailed, &bytes, &size, &address, impl_->detailed_scratch))
    return std::nullopt;
  const cs_insn& raw = *impl_->detailed_scratch;
  Instruction decoded;
  decoded.ip = ip;
  decoded.length = static_cast<std::uint8_t>(raw.size);
  decoded.text = std::string(raw.mnemonic) + (raw.op_str[0] == '\0' ? "" : " ") + raw.op_str;
  decoded.may_trap_at_itself = is_repeated(raw);
  const cs_x86& x86 = raw.detail->x86;
  for (std::size_t index = 0; index < x86.op_count; ++index) {
    if (x86.operands[index].type != X86_OP_MEM || touches_nothing(raw)) continue;
    // No instruction names more than two memory operands; a push has one of its own besides.
    if (decoded.operand_count == decoded.operands.size()) break;
    decoded.operands[decoded.operand_count++] = impl_->decode_operand(raw, index);
    if (index == 0) decoded.effect = decode_effect(raw);
  }
  if (decoded.operand_count < decoded.operands.size()) add_push(raw, decoded);
  return decoded;
}

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
    address += *index * operand.scale;
  }
  if (operand.pointer_moved) {
    const auto flags = registers.get(X86Register::flags);
    if (!flags) return std::nullopt;
    address += (*flags & kDirectionFlag) != 0 ? operand.size.value : ~operand.size.value + 1;
  }
  return RemoteAddress(address);
}

std::optional<RemoteAddress> stack_pointer(const UserRegisters& registers) {
  const auto value = registers.get(X86Register::sp);
  if (!value) return std::nullopt;
  return RemoteAddress(*value);
}

}  // namespace trapline::decode
