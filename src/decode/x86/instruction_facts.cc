#include "decode/x86/instruction_facts.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <utility>

namespace trapline::decode {
namespace {

constexpr std::uint8_t kHighByteShift = 8;

}  // namespace

namespace {

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

}  // namespace

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

namespace {

bool is_one_of(unsigned id, std::span<const x86_insn> set) {
  return std::ranges::find(set, static_cast<x86_insn>(id)) != set.end();
}

}  // namespace

bool reads_first_operand(const cs_insn& instruction) {
  static constexpr std::array kReaders{
      X86_INS_CMP,    X86_INS_TEST,    X86_INS_PUSH,     X86_INS_CALL,       X86_INS_JMP,
      X86_INS_LCALL,  X86_INS_LJMP,    X86_INS_BT,       X86_INS_MUL,        X86_INS_IMUL,
      X86_INS_DIV,    X86_INS_IDIV,    X86_INS_LDMXCSR,  X86_INS_FXRSTOR,    X86_INS_FLD,
      X86_INS_FILD,   X86_INS_FBLD,    X86_INS_FADD,     X86_INS_FIADD,      X86_INS_FMUL,
      X86_INS_FIMUL,  X86_INS_FSUB,    X86_INS_FISUB,    X86_INS_FSUBR,      X86_INS_FISUBR,
      X86_INS_FDIV,   X86_INS_FIDIV,   X86_INS_FDIVR,    X86_INS_FIDIVR,     X86_INS_FCOM,
      X86_INS_FCOMP,  X86_INS_FICOM,   X86_INS_FICOMP,   X86_INS_FLDCW,      X86_INS_FLDENV,
      X86_INS_FRSTOR, X86_INS_XRSTOR,  X86_INS_XRSTOR64, X86_INS_FXRSTOR64,  X86_INS_CMPSB,
      X86_INS_CMPSW,  X86_INS_CMPSD,   X86_INS_CMPSQ,    X86_INS_OUTSB,      X86_INS_OUTSW,
      X86_INS_OUTSD,  X86_INS_CLFLUSH, X86_INS_VLDMXCSR, X86_INS_CLFLUSHOPT, X86_INS_CLWB,
      X86_INS_VERR,   X86_INS_VERW};
  return is_one_of(instruction.id, kReaders);
}

bool touches_nothing(const cs_insn& instruction) {
  return instruction.id == X86_INS_LEA || instruction.id == X86_INS_NOP ||
         instruction.id == X86_INS_INVLPG ||
         std::string_view(instruction.mnemonic).starts_with("prefetch");
}

bool goes_elsewhere(unsigned id) {
  static constexpr std::array kJumps{X86_INS_JMP,   X86_INS_LJMP,  X86_INS_CALL,  X86_INS_LCALL,
                                     X86_INS_RET,   X86_INS_RETF,  X86_INS_RETFQ, X86_INS_IRET,
                                     X86_INS_IRETD, X86_INS_IRETQ, X86_INS_UD2,   X86_INS_HLT};
  return is_one_of(id, kJumps);
}

bool uses_vector_index(const cs_insn& instruction) {
  const std::string_view mnemonic = instruction.mnemonic;
  return mnemonic.find("scatter") != std::string_view::npos ||
         mnemonic.find("gather") != std::string_view::npos;
}

bool addresses_bit_string(const cs_insn& instruction) {
  static constexpr std::array kBitTests{X86_INS_BT, X86_INS_BTS, X86_INS_BTR, X86_INS_BTC};
  return is_one_of(instruction.id, kBitTests) &&
         instruction.detail->x86.operands[1].type == X86_OP_REG;
}

bool exchanges(unsigned id) {
  static constexpr std::array kExchanges{X86_INS_XADD, X86_INS_XCHG};
  return is_one_of(id, kExchanges);
}

bool compares_and_exchanges(unsigned id) {
  static constexpr std::array kCompareExchanges{X86_INS_CMPXCHG, X86_INS_CMPXCHG8B,
                                                X86_INS_CMPXCHG16B};
  return is_one_of(id, kCompareExchanges);
}

namespace {

// Sizes of saved processor state (SDM vol. 1, 8.1.10, 10.5.1 and 13.4).
struct StateSize {
  x86_insn instruction;
  std::uint64_t bytes;
  bool may_be_longer;
};

constexpr std::uint64_t kLegacyArea = 512;
constexpr std::uint64_t kLegacyAreaAndHeader = 576;

constexpr std::array kStateSizes{StateSize{X86_INS_FNSTSW, 2, false},
                                 StateSize{X86_INS_FNSTENV, 28, false},
                                 StateSize{X86_INS_FLDENV, 28, false},
                                 StateSize{X86_INS_FNSAVE, 108, false},
                                 StateSize{X86_INS_FRSTOR, 108, false},
                                 StateSize{X86_INS_FXSAVE, kLegacyArea, false},
                                 StateSize{X86_INS_FXSAVE64, kLegacyArea, false},
                                 StateSize{X86_INS_FXRSTOR, kLegacyArea, false},
                                 StateSize{X86_INS_FXRSTOR64, kLegacyArea, false},
                                 StateSize{X86_INS_XSAVE, kLegacyAreaAndHeader, true},
                                 StateSize{X86_INS_XSAVE64, kLegacyAreaAndHeader, true},
                                 StateSize{X86_INS_XSAVEC, kLegacyAreaAndHeader, true},
                                 StateSize{X86_INS_XSAVEC64, kLegacyAreaAndHeader, true},
                                 StateSize{X86_INS_XSAVEOPT, kLegacyAreaAndHeader, true},
                                 StateSize{X86_INS_XSAVEOPT64, kLegacyAreaAndHeader, true},
                                 StateSize{X86_INS_XRSTOR, kLegacyAreaAndHeader, true},
                                 StateSize{X86_INS_XRSTOR64, kLegacyAreaAndHeader, true}};

}  // namespace

void correct_size(unsigned id, MemoryOperand& memory) {
  const auto known =
      std::ranges::find(kStateSizes, static_cast<x86_insn>(id), &StateSize::instruction);
  if (known == kStateSizes.end()) return;
  memory.size = ByteCount{known->bytes};
  memory.may_be_longer = known->may_be_longer;
}

namespace {

// String instructions advance the pointer they use.
bool is_string_instruction(unsigned id) {
  static constexpr std::array kStrings{
      X86_INS_STOSB, X86_INS_STOSW, X86_INS_STOSD, X86_INS_STOSQ, X86_INS_MOVSB, X86_INS_MOVSW,
      X86_INS_MOVSQ, X86_INS_LODSB, X86_INS_LODSW, X86_INS_LODSD, X86_INS_LODSQ, X86_INS_SCASB,
      X86_INS_SCASW, X86_INS_SCASD, X86_INS_SCASQ, X86_INS_CMPSB, X86_INS_CMPSW, X86_INS_CMPSQ,
      X86_INS_INSB,  X86_INS_INSW,  X86_INS_INSD,  X86_INS_OUTSB, X86_INS_OUTSW, X86_INS_OUTSD};
  return is_one_of(id, kStrings);
}

}  // namespace

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

}  // namespace trapline::decode
