// What the decoder's library does not say, or says wrongly, of x86-64 instructions.
//
// Capstone 4 reports the memory operand of many stores (movups, vmovdqu, fisttp, cmpxchg ...) as
// read only, and that of test as written. What a memory operand means is therefore taken from its
// place: the first operand is the destination, but for those of reads_first_operand(). Sizes of the
// state-saving instructions are the manual's, not Capstone's.
#pragma once

#include <capstone/capstone.h>

#include <cstdint>
#include <optional>

#include "decode/instruction.h"

namespace trapline::decode {

constexpr std::uint8_t number(X86Register name) {
  return static_cast<std::uint8_t>(name);
}

struct RegisterPart {
  std::uint8_t number;
  std::uint8_t shift;
};

[[nodiscard]] std::optional<RegisterPart> find_register(unsigned id);

// Instructions whose first operand is memory that they only read, or only name.
[[nodiscard]] bool reads_first_operand(const cs_insn& instruction);

// Instructions that name memory without touching it.
[[nodiscard]] bool touches_nothing(const cs_insn& instruction);

// Instructions after which execution is elsewhere.
[[nodiscard]] bool goes_elsewhere(unsigned id);

// An address in every lane of a vector register, which is not captured (and which Capstone 4 takes
// for a general one).
[[nodiscard]] bool uses_vector_index(const cs_insn& instruction);

// A bit string's bit may lie far from the address that the operand names (SDM vol. 2A, 3.1.1.9).
[[nodiscard]] bool addresses_bit_string(const cs_insn& instruction);

// Also give their register operand the old memory, which Capstone 4 does not tell of all.
[[nodiscard]] bool exchanges(unsigned id);

// May load the accumulator instead of storing.
[[nodiscard]] bool compares_and_exchanges(unsigned id);

void correct_size(unsigned id, MemoryOperand& memory);

// movsd and cmpsd are also SSE2 instructions; the string forms have no register operand.
[[nodiscard]] bool moves_pointer(const cs_insn& instruction);

[[nodiscard]] bool is_repeated(const cs_insn& instruction);

[[nodiscard]] StoreEffect::Kind effect_kind(unsigned id);

}  // namespace trapline::decode
