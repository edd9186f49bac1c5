#include "instructions/arm64/memory_access.h"

#include "regs/bit_field.h"

namespace trapline::instructions::arm64 {
namespace {

using regs::BitField;

// Where most loads and stores have them (C4.1).
constexpr BitField kTransfer{0, 5};         // Rt
constexpr BitField kBase{5, 5};             // Rn
constexpr BitField kSecondTransfer{10, 5};  // Rt2
constexpr BitField kOtherRegister{16, 5};   // Rm, Rs
constexpr BitField kLoad{22, 1};            // L
constexpr BitField kVector{26, 1};          // V
constexpr BitField kSize{30, 2};

constexpr ByteCount kVectorBytes{16};

constexpr std::int64_t sign_extend(std::uint32_t value, unsigned width) {
  const std::uint32_t sign = std::uint32_t{1} << (width - 1);
  return static_cast<std::int64_t>(value ^ sign) - static_cast<std::int64_t>(sign);
}

constexpr ByteCount power_of_two(std::uint32_t exponent) {
  return ByteCount{std::uint64_t{1} << exponent};
}

constexpr std::uint8_t narrow(std::uint32_t field) {
  return static_cast<std::uint8_t>(field);
}

MemoryAccess with_base(std::uint32_t instruction) {
  MemoryAccess access;
  access.base = narrow(kBase.get(instruction));
  access.sources = {narrow(kTransfer.get(instruction)), narrow(kSecondTransfer.get(instruction))};
  return access;
}

void load_or_store(MemoryAccess& access, bool is_load, bool is_vector) {
  access.reads = is_load;
  access.writes = !is_load;
  access.from = is_load || is_vector ? StoredFrom::unknown : StoredFrom::registers;
}

// "Load/store exclusive", "ordered", "compare and swap".
std::optional<MemoryAccess> exclusive_or_ordered(std::uint32_t instruction) {
  constexpr BitField kOrdered{23, 1};  // o2
  constexpr BitField kPair{21, 1};     // o1
  MemoryAccess access = with_base(instruction);
  const std::uint32_t size = kSize.get(instruction);
  const bool is_pair = kPair.get(instruction) != 0;
  access.size = power_of_two(size);
  const bool is_compare_pair = kOrdered.get(instruction) == 0 && is_pair && size < 2;
  if (is_compare_pair || (kOrdered.get(instruction) != 0 && is_pair)) {
    access.reads = access.writes = true;
    if (is_compare_pair) {  // CASP: 4 or 8 bytes twice
      constexpr std::uint32_t kSmallestPair = 2;
      access.size = power_of_two(size + kSmallestPair);
      access.count = 2;
    } else {
      access.from = StoredFrom::registers_if_equal;
      access.expected = narrow(kOtherRegister.get(instruction));
    }
    return access;
  }
  load_or_store(access, kLoad.get(instruction) != 0, false);
  if (kOrdered.get(instruction) == 0) {
    access.may_fail = access.writes;
    if (is_pair) access.count = 2;
  }
  return access;
}

// "Advanced SIMD load/store multiple structures".
std::optional<MemoryAccess> multiple_structures(std::uint32_t instruction) {
  MemoryAccess access = with_base(instruction);
  constexpr BitField kWhole{30, 1};  // Q
  access.size = kWhole.get(instruction) != 0 ? kVectorBytes : ByteCount{kVectorBytes.value / 2};
  switch (BitField{12, 4}.get(instruction)) {
    case 0b0111:
      access.count = 1;
      break;
    case 0b1000:
    case 0b1010:
      access.count = 2;
      break;
    case 0b0100:
    case 0b0110:
      access.count = 3;
      break;
    case 0b0000:
    case 0b0010:
      access.count = 4;
      break;
    default:
      return std::nullopt;
  }
  load_or_store(access, kLoad.get(instruction) != 0, true);
  return access;
}

// "Advanced SIMD load/store single structure".
std::optional<MemoryAccess> single_structure(std::uint32_t instruction) {
  MemoryAccess access = with_base(instruction);
  const std::uint32_t opcode = BitField{13, 3}.get(instruction);
  const std::uint32_t is_even = BitField{21, 1}.get(instruction);  // R
  constexpr std::uint32_t kReplicate = 3;
  std::uint32_t scale = opcode >> 1;
  if (scale == kReplicate) {
    scale = BitField{10, 2}.get(instruction);
  } else if (scale == 2 && BitField{10, 1}.get(instruction) != 0) {
    scale = 3;
  }
  access.size = power_of_two(scale);
  access.count = narrow(((opcode & 1) << 1 | is_even) + 1);
  load_or_store(access, kLoad.get(instruction) != 0, true);
  return access;
}

// "Load register (literal)".
std::optional<MemoryAccess> literal(std::uint32_t instruction) {
  constexpr std::uint32_t kPrefetch = 3;
  const std::uint32_t size = kSize.get(instruction);
  const bool is_vector = kVector.get(instruction) != 0;
  if (size == kPrefetch) return std::nullopt;
  MemoryAccess access;
  access.reads = true;
  constexpr std::uint32_t kWord = 2;
  // 4, 8, 16 bytes of a vector register; 4, 8, 4 (LDRSW) of others
  access.size = is_vector || size < 2 ? power_of_two(size + kWord) : power_of_two(kWord);
  access.displacement = sign_extend(BitField{5, 19}.get(instruction), 19) * 4;
  return access;
}

// "Load/store register pair" of all kinds.
std::optional<MemoryAccess> register_pair(std::uint32_t instruction) {
  constexpr std::uint32_t kPostIndexed = 0b01;
  MemoryAccess access = with_base(instruction);
  const std::uint32_t kind = kSize.get(instruction);  // opc
  const bool is_vector = kVector.get(instruction) != 0;
  const bool is_load = kLoad.get(instruction) != 0;
  const bool stores_tags = !is_vector && kind == 1 && !is_load;  // STGP
  access.size = is_vector ? power_of_two(kind + 2) : power_of_two(kind >= 2 || stores_tags ? 3 : 2);
  access.count = 2;
  constexpr std::int64_t kTagGranule = 16;
  const std::int64_t unit =
      stores_tags ? kTagGranule : static_cast<std::int64_t>(access.size.value);
  if (BitField{23, 2}.get(instruction) != kPostIndexed)
    access.displacement = sign_extend(BitField{15, 7}.get(instruction), 7) * unit;
  load_or_store(access, is_load, is_vector);
  return access;
}

// "Atomic memory operations".
std::optional<MemoryAccess> atomic(std::uint32_t instruction) {
  MemoryAccess access = with_base(instruction);
  access.size = power_of_two(kSize.get(instruction));
  access.sources[0] = narrow(kOtherRegister.get(instruction));  // Rs
  access.reads = true;
  const std::uint32_t operation = BitField{12, 3}.get(instruction);
  if (BitField{15, 1}.get(instruction) != 0) {     // o3
    constexpr std::uint32_t kLoadAcquire = 0b100;  // LDAPR
    if (operation == kLoadAcquire) return access;
    access.writes = true;
    if (operation == 0) access.from = StoredFrom::registers;  // SWP; else 64 bytes at once
    return access;
  }
  access.writes = true;
  constexpr std::array kKinds{StoredFrom::add, StoredFrom::clear, StoredFrom::exclusive_or,
                              StoredFrom::set};
  if (operation < kKinds.size()) access.from = kKinds[operation];
  return access;
}

// The bytes of one register, and whether they are loaded. nullopt: a prefetch.
struct Transfer {
  ByteCount size;
  bool is_load = false;
};
std::optional<Transfer> single_transfer(std::uint32_t instruction) {
  const std::uint32_t size = kSize.get(instruction);
  const std::uint32_t kind = BitField{22, 2}.get(instruction);  // opc
  constexpr std::uint32_t kLargest = 3;
  if (kVector.get(instruction) != 0)
    return Transfer{(kind & 2) != 0 ? kVectorBytes : power_of_two(size), (kind & 1) != 0};
  if (size == kLargest && kind == 2) return std::nullopt;  // PRFM
  return Transfer{power_of_two(size), kind != 0};
}

void use_index(std::uint32_t instruction, MemoryAccess& access) {
  access.index = narrow(kOtherRegister.get(instruction));
  constexpr std::uint32_t kUnsignedWord = 0b010;
  constexpr std::uint32_t kSignedWord = 0b110;
  const std::uint32_t option = BitField{13, 3}.get(instruction);
  if (option == kUnsignedWord) access.extension = MemoryAccess::Extension::zero_32;
  if (option == kSignedWord) access.extension = MemoryAccess::Extension::sign_32;
  if (BitField{12, 1}.get(instruction) == 0) return;  // S
  for (std::uint64_t bytes = access.size.value; bytes > 1; bytes /= 2) ++access.shift;
}

// "Load/store register": by an immediate of each kind or by a register; atomics share the space.
std::optional<MemoryAccess> single_register(std::uint32_t instruction) {
  const bool has_long_offset = BitField{24, 1}.get(instruction) != 0;
  const std::uint32_t form = BitField{10, 2}.get(instruction);
  const bool is_register_form = BitField{21, 1}.get(instruction) != 0;
  const bool is_vector = kVector.get(instruction) != 0;
  if (!has_long_offset && is_register_form && form == 0)
    return is_vector ? std::nullopt : atomic(instruction);
  const auto transfer = single_transfer(instruction);
  if (!transfer) return std::nullopt;
  MemoryAccess access = with_base(instruction);
  access.size = transfer->size;
  load_or_store(access, transfer->is_load, is_vector);
  constexpr std::uint32_t kPostIndexed = 0b01;
  constexpr std::uint32_t kByRegister = 0b10;
  if (has_long_offset) {
    access.displacement = static_cast<std::int64_t>(BitField{10, 12}.get(instruction)) *
                          static_cast<std::int64_t>(access.size.value);
  } else if (is_register_form && form == kByRegister) {
    use_index(instruction, access);
  } else if (is_register_form) {  // LDRAA: the base is authenticated
    load_or_store(access, true, false);
    access.size = power_of_two(3);
    const std::uint32_t offset =
        BitField{22, 1}.get(instruction) << 9 | BitField{12, 9}.get(instruction);
    access.displacement = sign_extend(offset, 10) * 8;
  } else if (form != kPostIndexed) {
    access.displacement = sign_extend(BitField{12, 9}.get(instruction), 9);
  }
  return access;
}

// STLUR, LDAPUR and their kin; the space is shared with memory tags, which are no data.
std::optional<MemoryAccess> ordered_unscaled(std::uint32_t instruction) {
  if (BitField{21, 1}.get(instruction) != 0 || BitField{10, 2}.get(instruction) != 0)
    return std::nullopt;
  MemoryAccess access = with_base(instruction);
  access.size = power_of_two(kSize.get(instruction));
  access.displacement = sign_extend(BitField{12, 9}.get(instruction), 9);
  load_or_store(access, BitField{22, 2}.get(instruction) != 0, false);
  return access;
}

// DC ZVA, an instruction of the system (C5.3): writes zeros to a block, 64 bytes on nearly all
// CPUs.
std::optional<MemoryAccess> zero_block(std::uint32_t instruction) {
  constexpr std::uint32_t kZeroByAddress = 0xd50b7420;
  constexpr ByteCount kUsualBlock{64};
  if ((instruction & ~std::uint32_t{0x1f}) != kZeroByAddress) return std::nullopt;
  MemoryAccess access;
  access.writes = true;
  access.size = kUsualBlock;
  access.base = narrow(kTransfer.get(instruction));
  access.is_block = true;
  access.from = StoredFrom::zero;
  return access;
}

}  // namespace

std::optional<MemoryAccess> memory_access(std::uint32_t instruction) {
  // Loads and stores: bit 27 set, bit 25 clear.
  if (BitField{27, 1}.get(instruction) == 0 || BitField{25, 1}.get(instruction) != 0)
    return zero_block(instruction);
  const bool has_bit_24 = BitField{24, 1}.get(instruction) != 0;
  const bool is_vector = kVector.get(instruction) != 0;
  switch (BitField{28, 2}.get(instruction)) {
    case 0b00:
      if (!is_vector) return has_bit_24 ? std::nullopt : exclusive_or_ordered(instruction);
      return has_bit_24 ? single_structure(instruction) : multiple_structures(instruction);
    case 0b01:
      if (!has_bit_24) return literal(instruction);
      return is_vector ? std::nullopt : ordered_unscaled(instruction);
    case 0b10:
      return register_pair(instruction);
    default:
      return single_register(instruction);
  }
}

}  // namespace trapline::instructions::arm64
