// Where instructions start in code of variable length: walked once per function, remembered.
//
// One bit per byte of code, bounded; when the bound is reached everything is walked again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "decode/culprit.h"
#include "decode/instruction.h"
#include "trapline/base/address.h"
#include "trapline/port/memory_reader.h"

namespace trapline::decode {

class InstructionWalk {
 public:
  // Both borrowed.
  InstructionWalk(MemoryReader& code, Disassembler& disassembler)
      : code_(code), disassembler_(disassembler) {}

  // The start of the instruction of `function` that ends at `end`. nullopt if none does, if bytes
  // on the way there cannot be read or are no instruction, or if the function is longer than a
  // compiler makes them.
  [[nodiscard]] std::optional<RemoteAddress> instruction_before(const CodeRange& function,
                                                                RemoteAddress end);
  void clear();

 private:
  struct Walked {
    std::vector<bool> starts;  // by offset from the function's start
    std::size_t reached = 0;   // where the next instruction starts
    bool is_stuck = false;     // what is there is no instruction
  };

  bool extend(Walked& walked, const CodeRange& function, std::size_t offset);

  MemoryReader& code_;
  Disassembler& disassembler_;
  std::unordered_map<std::uint64_t, Walked> walks_;  // by the function's start
  std::size_t bits_ = 0;                             // in all walks
};

}  // namespace trapline::decode
