// Which instruction an Armv7 CPU executes after the one it is at: where a breakpoint has to stand
// to step over it. Pure, given registers and a way to read memory; builds on any host.
//
// Every branch, and every load and data-processing instruction that writes the program counter, is
// followed with the values it will see; conditions and IT blocks too. What changes mode or raises
// an exception (SVC, SMC, HVC, BKPT, RFE) is taken to go on behind itself, where its
// handler returns to.
//
// Source: Arm ARM Armv7-A/R (DDI 0406C), A5 (ARM), A6 (Thumb), A8 (instructions).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace trapline::instructions::armv7 {

struct CoreRegisters {
  std::array<std::uint32_t, 15> r{};  // r13 is sp, r14 is lr
  std::uint32_t pc = 0;               // the address of the instruction itself
  std::uint32_t cpsr = 0;

  [[nodiscard]] bool is_thumb() const { return (cpsr >> 5 & 1) != 0; }

  friend constexpr bool operator==(const CoreRegisters&, const CoreRegisters&) = default;
};

// How memory is read: `length` is 1, 2 or 4 bytes; nullopt: they cannot be read.
struct ReadMemory {
  std::optional<std::uint32_t> (*read)(void* context, std::uint32_t address, unsigned length);
  void* context = nullptr;

  [[nodiscard]] std::optional<std::uint32_t> operator()(std::uint32_t address,
                                                        unsigned length) const {
    return read(context, address, length);
  }
};

struct NextInstruction {
  std::uint32_t address = 0;
  bool is_thumb = false;

  friend constexpr bool operator==(const NextInstruction&, const NextInstruction&) = default;
};

// `instruction`: a word (ARM), a halfword, or the first halfword above the second (Thumb). nullopt:
// it loads the program counter from memory that cannot be read, and so will fault.
[[nodiscard]] std::optional<NextInstruction> next_address(std::uint32_t instruction,
                                                          const CoreRegisters& registers,
                                                          ReadMemory read);

// The number of the register that an exclusive store (STREX and its kin) writes its outcome to: 0
// where it stored. nullopt: it is another instruction.
[[nodiscard]] std::optional<unsigned> exclusive_store_status(std::uint32_t instruction,
                                                             bool is_thumb);
// Whether it is an exclusive load (LDREX and its kin).
[[nodiscard]] bool is_exclusive_load(std::uint32_t instruction, bool is_thumb);

}  // namespace trapline::instructions::armv7
