#include "instructions/armv7/next_address.h"

#include <bit>

#include "instructions/armv7/condition.h"
#include "regs/bit_field.h"

namespace trapline::instructions::armv7 {
namespace {

constexpr std::uint32_t kPc = 15;

// --- arithmetic ---

constexpr std::uint32_t sign_extend(std::uint32_t value, unsigned bits) {
  const std::uint32_t sign = 1U << (bits - 1);
  return (value ^ sign) - sign;
}

// A8.4.3, without the carry out: what is left of `value` after `amount` bits.
constexpr std::uint32_t shift(std::uint32_t value, std::uint32_t type, std::uint32_t amount,
                              bool by_register, std::uint32_t cpsr) {
  // An amount of zero in the instruction means 32, or RRX.
  if (!by_register && amount == 0) {
    if (type == 0) return value;
    if (type == 3) return (flags_of(cpsr).c ? 1U << 31 : 0) | value >> 1;
    amount = 32;
  }
  switch (type) {
    case 0:
      return amount < 32 ? value << amount : 0;
    case 1:
      return amount < 32 ? value >> amount : 0;
    case 2: {
      const std::uint32_t ones = (value >> 31) != 0 ? ~0U : 0;
      if (amount == 0) return value;
      return amount < 32 ? value >> amount | ones << (32 - amount) : ones;
    }
    default:
      return std::rotr(value, static_cast<int>(amount % 32));
  }
}

// BXWritePC: bit 0 chooses the instruction set.
constexpr NextInstruction interworking(std::uint32_t target) {
  if ((target & 1) != 0) return {target & ~1U, true};
  return {target & ~3U, false};
}
std::optional<NextInstruction> interworking(std::optional<std::uint32_t> target) {
  if (!target) return std::nullopt;
  return interworking(*target);
}

constexpr std::uint32_t ones_in(std::uint32_t list) {
  return static_cast<std::uint32_t>(std::popcount(list));
}

// --- ARM ---

class ArmDecoder {
 public:
  ArmDecoder(std::uint32_t instruction, const CoreRegisters& registers, ReadMemory read)
      : instruction_(instruction), registers_(registers), read_(read) {}

  [[nodiscard]] std::optional<NextInstruction> next() const {
    const std::uint32_t condition = field({28, 4});
    if (condition == 0b1111) return unconditional();
    if (!holds(condition, registers_.cpsr)) return behind();
    if (field({25, 3}) == 0b101) return NextInstruction{branch_target(), false};
    if (is(0x0fffffd0, 0x012fff10)) return interworking(reg(field({0, 4})));  // BX, BLX
    if (is(0x0ffffff0, 0x012fff20)) return interworking(reg(field({0, 4})));  // BXJ
    if (is(0x0c50f000, 0x0410f000) && !is(0x0e000010, 0x06000010)) return load();
    if (is(0x0e108000, 0x08108000)) return load_multiple();
    if (is(0x0c00f000, 0x0000f000) && is_data_processing()) return data_processing();
    return behind();
  }

 private:
  [[nodiscard]] std::uint32_t field(regs::BitField bits) const { return bits.get(instruction_); }
  [[nodiscard]] bool is(std::uint32_t mask, std::uint32_t value) const {
    return (instruction_ & mask) == value;
  }
  // The program counter reads as the instruction's address + 8.
  [[nodiscard]] std::uint32_t reg(std::uint32_t number) const {
    return number == kPc ? registers_.pc + 8 : registers_.r[number];
  }
  [[nodiscard]] NextInstruction behind() const { return {registers_.pc + 4, false}; }
  [[nodiscard]] std::uint32_t branch_target() const {
    return registers_.pc + 8 + (sign_extend(field({0, 24}), 24) << 2);
  }
  [[nodiscard]] NextInstruction unconditional() const {
    if (field({25, 3}) != 0b101) return behind();
    return {branch_target() + (field({24, 1}) << 1), true};  // BLX
  }
  [[nodiscard]] std::uint32_t shifted_register() const {
    const bool by_register = field({4, 1}) != 0;
    const std::uint32_t amount = by_register ? reg(field({8, 4})) & 0xff : field({7, 5});
    return shift(reg(field({0, 4})), field({5, 2}), amount, by_register, registers_.cpsr);
  }
  // A5.2: the rest of this space are multiplies, extra loads and stores, and others without a
  // result in a register that could be the program counter.
  [[nodiscard]] bool is_data_processing() const {
    const std::uint32_t opcode = field({21, 4});
    const bool only_compares = opcode >= 0b1000 && opcode <= 0b1011;
    const bool is_immediate = field({25, 1}) != 0;
    const bool is_other = !is_immediate && field({7, 1}) != 0 && field({4, 1}) != 0;
    return !only_compares && !is_other;
  }
  [[nodiscard]] NextInstruction data_processing() const {
    const std::uint32_t second = field({25, 1}) != 0
                                     ? std::rotr(field({0, 8}), static_cast<int>(2 * field({8, 4})))
                                     : shifted_register();
    const std::uint32_t first = reg(field({16, 4}));
    const std::uint32_t carry = flags_of(registers_.cpsr).c ? 1 : 0;
    switch (field({21, 4})) {
      case 0b0000:
        return interworking(first & second);
      case 0b0001:
        return interworking(first ^ second);
      case 0b0010:
        return interworking(first - second);
      case 0b0011:
        return interworking(second - first);
      case 0b0100:
        return interworking(first + second);
      case 0b0101:
        return interworking(first + second + carry);
      case 0b0110:
        return interworking(first - second - 1 + carry);
      case 0b0111:
        return interworking(second - first - 1 + carry);
      case 0b1100:
        return interworking(first | second);
      case 0b1101:
        return interworking(second);
      case 0b1110:
        return interworking(first & ~second);
      default:
        return interworking(~second);
    }
  }
  [[nodiscard]] std::optional<NextInstruction> load() const {
    const bool indexed_before = field({24, 1}) != 0;
    const std::uint32_t offset = field({25, 1}) != 0 ? shifted_register() : field({0, 12});
    const std::uint32_t base = reg(field({16, 4}));
    const std::uint32_t indexed = field({23, 1}) != 0 ? base + offset : base - offset;
    return interworking(read_(indexed_before ? indexed : base, 4));
  }
  // The program counter is the highest register, and so the last word.
  [[nodiscard]] std::optional<NextInstruction> load_multiple() const {
    const std::uint32_t bytes = 4 * ones_in(field({0, 16}));
    const bool before = field({24, 1}) != 0;
    const bool upwards = field({23, 1}) != 0;
    const std::uint32_t base = reg(field({16, 4}));
    std::uint32_t last = upwards ? base + bytes - 4 : base;
    if (before) last = upwards ? last + 4 : last - 4;
    return interworking(read_(last, 4));
  }

  std::uint32_t instruction_;
  const CoreRegisters& registers_;
  ReadMemory read_;
};

// --- Thumb ---

class ThumbDecoder {
 public:
  ThumbDecoder(std::uint32_t instruction, const CoreRegisters& registers, ReadMemory read)
      : instruction_(instruction), registers_(registers), read_(read) {}

  [[nodiscard]] std::optional<NextInstruction> next() const {
    if (!holds(block_condition(registers_.cpsr), registers_.cpsr)) return behind();
    return is_wide() ? wide() : narrow();
  }

 private:
  [[nodiscard]] std::uint32_t field(regs::BitField bits) const { return bits.get(instruction_); }
  [[nodiscard]] bool is(std::uint32_t mask, std::uint32_t value) const {
    return (instruction_ & mask) == value;
  }
  [[nodiscard]] bool is_wide() const { return instruction_ > 0xffff; }
  // The program counter reads as the instruction's address + 4.
  [[nodiscard]] std::uint32_t reg(std::uint32_t number) const {
    return number == kPc ? registers_.pc + 4 : registers_.r[number];
  }
  [[nodiscard]] NextInstruction behind() const {
    return {registers_.pc + (is_wide() ? 4U : 2U), true};
  }
  [[nodiscard]] NextInstruction relative(std::uint32_t offset) const {
    return {registers_.pc + 4 + offset, true};
  }
  [[nodiscard]] std::optional<NextInstruction> narrow() const {
    if (is(0xf000, 0xd000) && field({8, 4}) < kAlways) {  // B, conditional
      if (!holds(field({8, 4}), registers_.cpsr)) return behind();
      return relative(sign_extend(field({0, 8}), 8) << 1);
    }
    if (is(0xf800, 0xe000)) return relative(sign_extend(field({0, 11}), 11) << 1);  // B
    if (is(0xf500, 0xb100)) return compare_and_branch();
    if (is(0xff07, 0x4700)) return interworking(reg(field({3, 4})));  // BX, BLX
    if (is(0xff00, 0xbd00))                                           // POP with pc
      return interworking(read_(reg(13) + 4 * ones_in(field({0, 8})), 4));
    if (is(0xff87, 0x4487))
      return NextInstruction{(reg(field({3, 4})) + reg(kPc)) & ~1U, true};           // ADD
    if (is(0xff87, 0x4687)) return NextInstruction{reg(field({3, 4})) & ~1U, true};  // MOV
    return behind();
  }
  // CBZ and CBNZ: forward only.
  [[nodiscard]] NextInstruction compare_and_branch() const {
    const bool branches_on_zero = field({11, 1}) == 0;
    if ((reg(field({0, 3})) == 0) != branches_on_zero) return behind();
    return relative(field({9, 1}) << 6 | field({3, 5}) << 1);
  }

  [[nodiscard]] std::optional<NextInstruction> wide() const {
    if (is(0xf8008000, 0xf0008000)) return branch_or_control();
    if (is(0xfff0ffe0, 0xe8d0f000)) return table_branch();
    if (is(0xff70f000, 0xf850f000)) return load();
    if (is(0xfe508000, 0xe8108000)) return load_multiple();
    return behind();
  }
  [[nodiscard]] std::optional<NextInstruction> branch_or_control() const {
    const bool is_unconditional = field({12, 1}) != 0 || field({14, 1}) != 0;
    if (!is_unconditional) {
      // B, conditional; conditions above 1101 are other instructions.
      const std::uint32_t condition = field({22, 4});
      if (condition >= kAlways || !holds(condition, registers_.cpsr)) return behind();
      const std::uint32_t offset = field({26, 1}) << 20 | field({11, 1}) << 19 |
                                   field({13, 1}) << 18 | field({16, 6}) << 12 |
                                   field({0, 11}) << 1;
      return relative(sign_extend(offset, 21));
    }
    const std::uint32_t sign = field({26, 1});
    const std::uint32_t i1 = ~(field({13, 1}) ^ sign) & 1;
    const std::uint32_t i2 = ~(field({11, 1}) ^ sign) & 1;
    const std::uint32_t offset = sign_extend(
        sign << 24 | i1 << 23 | i2 << 22 | field({16, 10}) << 12 | field({0, 11}) << 1, 25);
    const bool changes_set = field({14, 1}) != 0 && field({12, 1}) == 0;  // BLX
    if (!changes_set) return relative(offset);
    return NextInstruction{((registers_.pc + 4) & ~3U) + (offset & ~3U), false};
  }
  [[nodiscard]] std::optional<NextInstruction> table_branch() const {
    const bool is_halfword = field({4, 1}) != 0;
    const std::uint32_t base = reg(field({16, 4}));
    const std::uint32_t index = reg(field({0, 4}));
    const auto entry = is_halfword ? read_(base + 2 * index, 2) : read_(base + index, 1);
    if (!entry) return std::nullopt;
    return relative(2 * *entry);
  }
  // LDR to pc: literal, 12 bits up, 8 bits either way, or a register.
  [[nodiscard]] std::optional<NextInstruction> load() const {
    const std::uint32_t base_number = field({16, 4});
    if (base_number == kPc) {
      const std::uint32_t base = (registers_.pc + 4) & ~3U;
      const std::uint32_t offset = field({0, 12});
      return interworking(read_(field({23, 1}) != 0 ? base + offset : base - offset, 4));
    }
    const std::uint32_t base = reg(base_number);
    if (field({23, 1}) != 0) return interworking(read_(base + field({0, 12}), 4));
    if (field({11, 1}) == 0)
      return interworking(read_(base + (reg(field({0, 4})) << field({4, 2})), 4));
    const std::uint32_t offset = field({0, 8});
    const std::uint32_t indexed = field({9, 1}) != 0 ? base + offset : base - offset;
    return interworking(read_(field({10, 1}) != 0 ? indexed : base, 4));
  }
  [[nodiscard]] std::optional<NextInstruction> load_multiple() const {
    const bool is_increasing = field({23, 2}) == 0b01;
    const bool is_decreasing = field({23, 2}) == 0b10;
    if (!is_increasing && !is_decreasing) return behind();  // RFE
    const std::uint32_t base = reg(field({16, 4}));
    const std::uint32_t bytes = 4 * ones_in(field({0, 16}));
    return interworking(read_(is_increasing ? base + bytes - 4 : base - 4, 4));
  }

  std::uint32_t instruction_;
  const CoreRegisters& registers_;
  ReadMemory read_;
};

}  // namespace

std::optional<NextInstruction> next_address(std::uint32_t instruction,
                                            const CoreRegisters& registers, ReadMemory read) {
  if (registers.is_thumb()) return ThumbDecoder(instruction, registers, read).next();
  return ArmDecoder(instruction, registers, read).next();
}

std::optional<unsigned> exclusive_store_status(std::uint32_t instruction, bool is_thumb) {
  if (!is_thumb) {
    if ((instruction & 0x0f900ff0) != 0x01800f90) return std::nullopt;
    return regs::BitField{12, 4}.get(instruction);
  }
  if ((instruction & 0xfff00000) == 0xe8400000) return regs::BitField{8, 4}.get(instruction);
  // STREXB, STREXH, STREXD.
  const std::uint32_t size = regs::BitField{4, 4}.get(instruction);
  if ((instruction & 0xfff00000) == 0xe8c00000 &&
      (size == 0b0100 || size == 0b0101 || size == 0b0111))
    return regs::BitField{0, 4}.get(instruction);
  return std::nullopt;
}

bool is_exclusive_load(std::uint32_t instruction, bool is_thumb) {
  if (!is_thumb) return (instruction & 0x0f900fff) == 0x01900f9f;
  const std::uint32_t size = regs::BitField{4, 4}.get(instruction);
  return (instruction & 0xfff00f00) == 0xe8500f00 ||
         ((instruction & 0xfff00000) == 0xe8d00000 &&
          (size == 0b0100 || size == 0b0101 || size == 0b0111));
}

}  // namespace trapline::instructions::armv7
