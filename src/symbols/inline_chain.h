// What is inlined into a function at an address.
#pragma once

#include <elfutils/libdw.h>

#include <vector>

namespace trapline::symbols {

// `function` first, then each inlined subroutine inside the one before. `address` as in the file.
[[nodiscard]] std::vector<Dwarf_Die> inline_chain(const Dwarf_Die& function, Dwarf_Addr address);

}  // namespace trapline::symbols
