// Armv7 over Capstone 4, in both instruction sets: Thumb first, which Debian's programs are in.

#include <capstone/capstone.h>

#include <algorithm>
#include <array>

#include "decode/capstone_reader.h"
#include "decode/instruction.h"

namespace trapline::decode {
namespace {

constexpr std::size_t kMaxInstructionLength = 4;
constexpr std::size_t kWordBytes = 4;
constexpr std::size_t kThumbReading = 0;

constexpr std::array kGeneralRegisters{ARM_REG_R0,  ARM_REG_R1, ARM_REG_R2,  ARM_REG_R3,
                                       ARM_REG_R4,  ARM_REG_R5, ARM_REG_R6,  ARM_REG_R7,
                                       ARM_REG_R8,  ARM_REG_R9, ARM_REG_R10, ARM_REG_R11,
                                       ARM_REG_R12, ARM_REG_SP, ARM_REG_LR,  ARM_REG_PC};

std::optional<std::uint8_t> find_register(int id) {
  const auto found = std::ranges::find(kGeneralRegisters, static_cast<arm_reg>(id));
  if (found == kGeneralRegisters.end()) return std::nullopt;
  return static_cast<std::uint8_t>(found - kGeneralRegisters.begin());
}

// What one instruction moves between registers and memory.
struct Transfer {
  bool reads = false;
  bool writes = false;
  std::uint8_t size = 0;  // of one register
  std::uint8_t count = 1;
  bool tells_value = false;  // general registers, stored as they are
};

struct Row {
  arm_insn id;
  Transfer transfer;
};

// DDI 0406C, A8.8.
constexpr std::array kTransfers{
    Row{ARM_INS_LDR, {.reads = true, .size = 4}},
    Row{ARM_INS_LDRT, {.reads = true, .size = 4}},
    Row{ARM_INS_LDRB, {.reads = true, .size = 1}},
    Row{ARM_INS_LDRBT, {.reads = true, .size = 1}},
    Row{ARM_INS_LDRSB, {.reads = true, .size = 1}},
    Row{ARM_INS_LDRH, {.reads = true, .size = 2}},
    Row{ARM_INS_LDRSH, {.reads = true, .size = 2}},
    Row{ARM_INS_LDRD, {.reads = true, .size = 4, .count = 2}},
    Row{ARM_INS_LDREX, {.reads = true, .size = 4}},
    Row{ARM_INS_LDREXB, {.reads = true, .size = 1}},
    Row{ARM_INS_LDREXH, {.reads = true, .size = 2}},
    Row{ARM_INS_LDREXD, {.reads = true, .size = 8}},
    Row{ARM_INS_STR, {.writes = true, .size = 4, .tells_value = true}},
    Row{ARM_INS_STRT, {.writes = true, .size = 4, .tells_value = true}},
    Row{ARM_INS_STRB, {.writes = true, .size = 1, .tells_value = true}},
    Row{ARM_INS_STRBT, {.writes = true, .size = 1, .tells_value = true}},
    Row{ARM_INS_STRH, {.writes = true, .size = 2, .tells_value = true}},
    Row{ARM_INS_STRD, {.writes = true, .size = 4, .count = 2, .tells_value = true}},
    // They may fail, and then store nothing.
    Row{ARM_INS_STREX, {.writes = true, .size = 4}},
    Row{ARM_INS_STREXB, {.writes = true, .size = 1}},
    Row{ARM_INS_STREXH, {.writes = true, .size = 2}},
    Row{ARM_INS_STREXD, {.writes = true, .size = 8}},
};

const Transfer* find_transfer(unsigned id) {
  const auto* const found = std::ranges::find(kTransfers, static_cast<arm_insn>(id), &Row::id);
  return found == kTransfers.end() ? nullptr : &found->transfer;
}

MemoryOperand operand_of(const cs_insn& instruction, const cs_arm_op& memory, bool is_thumb) {
  MemoryOperand operand;
  operand.displacement = memory.subtracted ? -memory.mem.disp : memory.mem.disp;
  operand.base = find_register(memory.mem.base);
  operand.is_computable = operand.base.has_value();
  operand.is_32_bit = true;
  if (memory.mem.base == ARM_REG_PC) {
    // A5.1.2 and A6.1.2: the address of the instruction plus 8 or 4, to a multiple of 4.
    operand.base = std::nullopt;
    const std::uint64_t ahead = is_thumb ? 4 : 8;
    operand.displacement += static_cast<std::int64_t>((instruction.address + ahead) & ~3ULL);
  }
  if (memory.mem.index != ARM_REG_INVALID) {
    operand.index = find_register(memory.mem.index);
    const bool is_plain = memory.shift.type == ARM_SFT_INVALID || memory.shift.type == ARM_SFT_LSL;
    operand.is_computable = operand.is_computable && operand.index && is_plain &&
                            memory.mem.scale == 1 && !memory.subtracted;
    constexpr unsigned kLargestShift = 7;
    const unsigned shift = memory.shift.type == ARM_SFT_LSL ? memory.shift.value : 0;
    if (shift <= kLargestShift) operand.scale = static_cast<std::uint8_t>(1U << shift);
    if (shift > kLargestShift) operand.is_computable = false;
  }
  return operand;
}

// Loads and stores of one register or of two, each with a value of its own.
void add_transfer(const cs_insn& instruction, const Transfer& transfer, bool is_thumb,
                  Instruction& decoded) {
  const cs_arm& arm = instruction.detail->arm;
  const auto operands = std::span(arm.operands, arm.op_count);
  const auto memory = std::ranges::find(operands, ARM_OP_MEM, &cs_arm_op::type);
  if (memory == operands.end()) return;
  // The registers stand before the memory.
  const auto registers = operands.first(static_cast<std::size_t>(memory - operands.begin()));
  MemoryOperand first = operand_of(instruction, *memory, is_thumb);
  first.reads = transfer.reads;
  first.writes = transfer.writes;
  first.size = ByteCount{transfer.size};
  for (std::size_t element = 0; element < transfer.count; ++element) {
    MemoryOperand& operand = decoded.operands[decoded.operand_count++];
    operand = first;
    operand.displacement += static_cast<std::int64_t>(element * transfer.size);
    if (!transfer.tells_value || registers.size() < transfer.count) continue;
    operand.effect.source_register = find_register(registers[element].reg);
    if (operand.effect.source_register) operand.effect.kind = StoreEffect::Kind::assign;
  }
}

// LDM, STM, PUSH, POP: how far the lowest word lies from the base.
std::optional<std::int64_t> first_of_many(unsigned id, std::int64_t bytes) {
  constexpr auto kWord = static_cast<std::int64_t>(kWordBytes);
  switch (id) {
    case ARM_INS_LDM:
    case ARM_INS_STM:
    case ARM_INS_POP:
      return 0;
    case ARM_INS_LDMIB:
    case ARM_INS_STMIB:
      return kWord;
    case ARM_INS_LDMDB:
    case ARM_INS_STMDB:
    case ARM_INS_PUSH:
      return -bytes;
    case ARM_INS_LDMDA:
    case ARM_INS_STMDA:
      return kWord - bytes;
    default:
      return std::nullopt;
  }
}

bool stores_many(unsigned id) {
  constexpr std::array kStores{ARM_INS_STM, ARM_INS_STMIB, ARM_INS_STMDB, ARM_INS_STMDA,
                               ARM_INS_PUSH};
  return std::ranges::find(kStores, static_cast<arm_insn>(id)) != kStores.end();
}

void add_many(const cs_insn& instruction, Instruction& decoded) {
  const cs_arm& arm = instruction.detail->arm;
  const bool is_stack = instruction.id == ARM_INS_PUSH || instruction.id == ARM_INS_POP;
  const std::size_t listed = arm.op_count - (is_stack ? 0U : 1U);
  const std::size_t bytes = listed * kWordBytes;
  const auto offset = first_of_many(instruction.id, static_cast<std::int64_t>(bytes));
  if (!offset || listed == 0 || listed > kGeneralRegisters.size()) return;
  MemoryOperand& operand = decoded.operands[decoded.operand_count++];
  operand.is_32_bit = true;
  operand.base = find_register(is_stack ? int{ARM_REG_SP} : arm.operands[0].reg);
  operand.is_computable = operand.base.has_value();
  operand.displacement = *offset;
  operand.size = ByteCount{bytes};
  operand.writes = stores_many(instruction.id);
  operand.reads = !operand.writes;
  if (listed != 1 || !operand.writes) return;
  operand.effect.source_register = find_register(arm.operands[is_stack ? 0 : 1].reg);
  if (operand.effect.source_register) operand.effect.kind = StoreEffect::Kind::assign;
}

// Vector registers are not captured, and how much is moved is not worth telling: what is known is
// that memory is read or written, and where it begins.
void add_vector(const cs_insn& instruction, bool is_thumb, Instruction& decoded) {
  const cs_arm& arm = instruction.detail->arm;
  constexpr std::array kLoads{ARM_INS_VLDR, ARM_INS_VLDMIA, ARM_INS_VLDMDB, ARM_INS_VLD1,
                              ARM_INS_VLD2, ARM_INS_VLD3,   ARM_INS_VLD4,   ARM_INS_VPOP};
  constexpr std::array kStores{ARM_INS_VSTR, ARM_INS_VSTMIA, ARM_INS_VSTMDB, ARM_INS_VST1,
                               ARM_INS_VST2, ARM_INS_VST3,   ARM_INS_VST4,   ARM_INS_VPUSH};
  const auto id = static_cast<arm_insn>(instruction.id);
  const bool reads = std::ranges::find(kLoads, id) != kLoads.end();
  const bool writes = std::ranges::find(kStores, id) != kStores.end();
  if (!reads && !writes) return;
  MemoryOperand& operand = decoded.operands[decoded.operand_count++];
  const auto operands = std::span(arm.operands, arm.op_count);
  const auto memory = std::ranges::find(operands, ARM_OP_MEM, &cs_arm_op::type);
  const bool is_single = id == ARM_INS_VLDR || id == ARM_INS_VSTR;
  if (is_single && memory != operands.end()) {
    operand = operand_of(instruction, *memory, is_thumb);
    const int source = arm.operands[0].reg;
    const bool is_single_precision = source >= ARM_REG_S0 && source <= ARM_REG_S31;
    operand.size = ByteCount{is_single_precision ? kWordBytes : 2 * kWordBytes};
  } else {
    operand.is_computable = false;
  }
  operand.reads = reads;
  operand.writes = writes;
}

}  // namespace

struct Disassembler::Impl {
  struct Reader {
    csh handle = 0;
    cs_insn* scratch = nullptr;
  };
  std::array<Reader, 2> readers;  // Thumb, ARM
};

Disassembler::Disassembler() : impl_(std::make_unique<Impl>()) {
  constexpr std::array kModes{CS_MODE_THUMB, CS_MODE_ARM};
  for (std::size_t reading = 0; reading < kModes.size(); ++reading) {
    Impl::Reader& reader = impl_->readers[reading];
    // Failing here means that the library was built without Arm, which the package is not.
    cs_open(CS_ARCH_ARM, kModes[reading], &reader.handle);
    cs_option(reader.handle, CS_OPT_DETAIL, CS_OPT_ON);
    reader.scratch = cs_malloc(reader.handle);
  }
}

Disassembler::~Disassembler() {
  for (Impl::Reader& reader : impl_->readers) {
    cs_free(reader.scratch, 1);
    cs_close(&reader.handle);
  }
}

std::size_t Disassembler::max_length() {
  return kMaxInstructionLength;
}

std::size_t Disassembler::readings() {
  return 2;
}

bool Disassembler::traps_before_access() {
  return true;
}

// Of Thumb: A6.1, the first halfword tells.
std::size_t Disassembler::length_at(std::span<const std::byte> code, RemoteAddress /*ip*/) {
  constexpr std::size_t kHalfword = 2;
  if (code.size() < kHalfword) return 0;
  constexpr unsigned kFirstLong = 0b11101;
  const std::size_t length =
      std::to_integer<unsigned>(code[1]) >> 3 >= kFirstLong ? 2 * kHalfword : kHalfword;
  return code.size() < length ? 0 : length;
}

std::optional<Instruction> Disassembler::decode(std::span<const std::byte> code, RemoteAddress ip,
                                                std::size_t reading) {
  const Impl::Reader& reader = impl_->readers[reading];
  const bool is_thumb = reading == kThumbReading;
  if (!is_thumb && ip.value() % kWordBytes != 0) return std::nullopt;
  if (!read_instruction(reader.handle, code, ip, reader.scratch)) return std::nullopt;
  const cs_insn& raw = *reader.scratch;
  Instruction decoded;
  decoded.ip = ip;
  decoded.length = static_cast<std::uint8_t>(raw.size);
  decoded.text = text_of(raw);
  if (const Transfer* transfer = find_transfer(raw.id)) {
    add_transfer(raw, *transfer, is_thumb, decoded);
  } else {
    add_many(raw, decoded);
    add_vector(raw, is_thumb, decoded);
  }
  return decoded;
}

std::optional<bool> moves_down(const UserRegisters& /*registers*/) {
  return false;  // no instruction repeats
}

std::optional<RemoteAddress> stack_pointer(const UserRegisters& registers) {
  const auto value = registers.get(ArmRegister::sp);
  if (!value) return std::nullopt;
  return RemoteAddress(*value);
}

}  // namespace trapline::decode
