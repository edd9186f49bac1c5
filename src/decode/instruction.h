// One decoded instruction, reduced to what finding a culprit needs: where it reads and writes
// memory, and what it stores.
//
// The seam between the search (culprit.cc, any architecture) and the decoder (one folder per
// architecture, chosen by CMake): an architecture provides Disassembler and the few facts about its
// traps below.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "trapline/base/address.h"
#include "trapline/port/user_registers.h"

namespace trapline::decode {

// What a written operand holds afterwards.
struct StoreEffect {
  enum class Kind : std::uint8_t {
    unknown,
    assign,  // source
    add,     // old op source
    subtract,
    bit_and,
    bit_or,
    bit_xor,
    bit_clear,        // old & ~source
    negate,           // -old
    complement,       // ~old
    assign_if_equal,  // source where old is what was expected
  };
  Kind kind = Kind::unknown;
  std::optional<std::uint8_t> source_register;  // else `immediate`
  std::uint8_t register_shift = 0;              // 8 for ah, bh, ch, dh
  std::uint64_t immediate = 0;
  std::optional<std::uint8_t> expected_register;  // else zero is expected
};

// Where an instruction touches memory, in terms of the registers as they are when the trap is
// reported: after it ran, or before (Disassembler::traps_before_access).
struct MemoryOperand {
  bool reads = false;
  bool writes = false;
  ByteCount size;
  // More bytes behind these may be accessed: how many depends on the machine (xsave).
  bool may_be_longer = false;
  // False: an input register was overwritten, or the address depends on something that is not
  // captured (a segment base, a vector register).
  bool is_computable = true;
  std::optional<std::uint8_t> base;  // numbers of UserRegisters
  std::optional<std::uint8_t> index;
  std::uint8_t scale = 1;
  // The index is the low half of its register.
  enum class IndexExtension : std::uint8_t { none, zero_32, sign_32 };
  IndexExtension index_extension = IndexExtension::none;
  std::int64_t displacement = 0;
  bool is_32_bit = false;  // the address is cut to 32 bits
  // A string instruction moved its pointer by `size`, in the direction that the flags register
  // tells.
  bool pointer_moved = false;
  // It did so again and again: this is the last of many accesses.
  bool is_repeated = false;
  StoreEffect effect = {};  // of what is written
};

struct Instruction {
  RemoteAddress ip;
  std::uint8_t length = 0;
  std::string text;
  std::array<MemoryOperand, 2> operands{};
  std::size_t operand_count = 0;
  bool is_call = false;                      // pushes a return address and goes elsewhere
  std::optional<RemoteAddress> call_target;  // of a direct call
  // Execution may continue behind it: neither a jump nor a call nor a return.
  bool falls_through = true;
  // A repeated string instruction that was interrupted by its own trap.
  bool may_trap_at_itself = false;

  [[nodiscard]] std::span<const MemoryOperand> memory() const {
    return {operands.data(), operand_count};
  }
};

class Disassembler {
 public:
  Disassembler();
  Disassembler(const Disassembler&) = delete;
  Disassembler& operator=(const Disassembler&) = delete;
  ~Disassembler();

  // The length of the instruction at the start of `code`, or 0 if there is none. Fast: for walking.
  [[nodiscard]] std::size_t length_at(std::span<const std::byte> code, RemoteAddress ip);
  // All of it. `reading`: less than readings().
  [[nodiscard]] std::optional<Instruction> decode(std::span<const std::byte> code, RemoteAddress ip,
                                                  std::size_t reading = 0);

  // In how many ways bytes can be read: more than one where a bit that no collector captures tells
  // which instruction set the CPU was in.
  [[nodiscard]] static std::size_t readings();
  // Whether a trap is reported before its instruction has run, at that instruction.
  [[nodiscard]] static bool traps_before_access();

  // The longest instruction of the architecture.
  [[nodiscard]] static std::size_t max_length();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Whether repeated accesses move downwards in memory; nullopt: that was not captured.
[[nodiscard]] std::optional<bool> moves_down(const UserRegisters& registers);

// The stack pointer among `registers`.
[[nodiscard]] std::optional<RemoteAddress> stack_pointer(const UserRegisters& registers);

// The operand's address, if the registers captured tell. Of repeated accesses: the last one's. The
// same on every architecture.
[[nodiscard]] std::optional<RemoteAddress> effective_address(const MemoryOperand& operand,
                                                             const UserRegisters& registers);

}  // namespace trapline::decode
