// Where DWARF says a variable lies, and why it cannot be watched if that is no fixed place.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <optional>
#include <string>

namespace trapline::symbols {

enum class NoAddress : std::uint8_t {
  none,
  no_location,  // only declared, optimised away, or told elsewhere (by the symbol table)
  constant,     // has a value but no memory
  thread_local_storage,
  moving,  // in registers, on a stack, or now here, now there
};

struct VariableLocation {
  std::optional<std::uint64_t> address;  // as in the file
  NoAddress reason = NoAddress::none;
};

// DWARF 5, 2.5 and 2.6: a fixed place is DW_OP_addr or DW_OP_addrx, with a constant added at most.
[[nodiscard]] VariableLocation location_of(Dwarf_Die die);

// The end of a sentence that begins with the variable's name, with the next step. `pid` is the
// process it was looked for in.
[[nodiscard]] std::string explain(NoAddress reason, const std::string& name, std::int32_t pid);

}  // namespace trapline::symbols
