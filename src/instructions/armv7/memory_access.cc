#include "instructions/armv7/memory_access.h"

#include "regs/bit_field.h"

namespace trapline::instructions::armv7 {
namespace {

constexpr regs::BitField kLoad{20, 1};        // L of most loads and stores
constexpr regs::BitField kVectorLoad{21, 1};  // L of VLD and VST
constexpr regs::BitField kNarrowLoad{11, 1};

constexpr Access load_or_store(std::uint32_t is_load) {
  return is_load != 0 ? Access::read : Access::write;
}

// A5.2.8 and A5.2.10: what is in the middle of the data-processing space.
std::optional<Access> access_of_extra(std::uint32_t instruction) {
  const bool is_load = kLoad.get(instruction) != 0;
  switch (regs::BitField{5, 2}.get(instruction)) {
    case 0b00: {
      if (regs::BitField{24, 1}.get(instruction) == 0) return std::nullopt;  // a multiplication
      const bool is_swap = regs::BitField{23, 1}.get(instruction) == 0;
      return is_swap ? Access::read_write : load_or_store(is_load ? 1 : 0);
    }
    case 0b01:
      return load_or_store(is_load ? 1 : 0);
    case 0b10:
      return Access::read;  // LDRSB, LDRD
    default:
      return is_load ? Access::read : Access::write;  // LDRSH, STRD
  }
}

std::optional<Access> access_of_arm(std::uint32_t instruction) {
  const bool is_conditional = instruction >> 28 != 0b1111;
  switch (regs::BitField{25, 3}.get(instruction)) {
    case 0b000:
      if (!is_conditional || (instruction & 0x90) != 0x90) return std::nullopt;
      return access_of_extra(instruction);
    case 0b010:
      if (!is_conditional) {  // VLD and VST; the rest are hints
        if (regs::BitField{24, 1}.get(instruction) != 0 ||
            regs::BitField{20, 1}.get(instruction) != 0)
          return std::nullopt;
        return load_or_store(kVectorLoad.get(instruction));
      }
      return load_or_store(kLoad.get(instruction));
    case 0b011:
      if (!is_conditional || regs::BitField{4, 1}.get(instruction) != 0)
        return std::nullopt;  // media
      return load_or_store(kLoad.get(instruction));
    case 0b100:
    case 0b110:
      return load_or_store(kLoad.get(instruction));
    default:
      return std::nullopt;
  }
}

std::optional<Access> access_of_narrow(std::uint32_t instruction) {
  switch (instruction >> 12) {
    case 0x4:
      if (instruction >> 11 == 0b01001) return Access::read;  // LDR, literal
      return std::nullopt;
    case 0x5:  // STR, STRH and STRB come first
      return regs::BitField{9, 3}.get(instruction) < 0b011 ? Access::write : Access::read;
    case 0x6:
    case 0x7:
    case 0x8:
    case 0x9:
    case 0xc:
      return load_or_store(kNarrowLoad.get(instruction));
    case 0xb:
      if (regs::BitField{9, 2}.get(instruction) != 0b10) return std::nullopt;
      return load_or_store(kNarrowLoad.get(instruction));  // PUSH, POP
    default:
      return std::nullopt;
  }
}

std::optional<Access> access_of_wide(std::uint32_t instruction) {
  switch (instruction >> 25) {
    case 0b1110100:  // multiple, dual, exclusive, table branch
    case 0b1110110:  // coprocessor
      return load_or_store(kLoad.get(instruction));
    case 0b1111100:
      if (regs::BitField{24, 1}.get(instruction) != 0 && kLoad.get(instruction) == 0)
        return load_or_store(kVectorLoad.get(instruction));
      return load_or_store(kLoad.get(instruction));
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<Access> access_of(std::uint32_t instruction, bool is_thumb) {
  if (!is_thumb) return access_of_arm(instruction);
  return instruction > 0xffff ? access_of_wide(instruction) : access_of_narrow(instruction);
}

}  // namespace trapline::instructions::armv7
