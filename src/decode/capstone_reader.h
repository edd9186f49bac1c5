// What every decoder asks of Capstone in the same way.
#pragma once

#include <capstone/capstone.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "trapline/base/address.h"

namespace trapline::decode {

// The instruction at the start of `code`, into `scratch`, which cs_malloc made for the handle.
// False: there is none.
inline bool read_instruction(csh handle, std::span<const std::byte> code, RemoteAddress ip,
                             cs_insn* scratch) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(code.data());
  std::size_t size = code.size();
  std::uint64_t address = ip.value();
  return cs_disasm_iter(handle, &bytes, &size, &address, scratch);
}

// "mov dword ptr [rip + 0x2ef2], eax".
inline std::string text_of(const cs_insn& instruction) {
  return std::string(instruction.mnemonic) + (instruction.op_str[0] == '\0' ? "" : " ") +
         instruction.op_str;
}

}  // namespace trapline::decode
