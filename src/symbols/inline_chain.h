// The function at an address and what is inlined into it there.
#pragma once

#include <elfutils/libdw.h>

#include <string>
#include <vector>

namespace trapline::symbols {

// The subprogram first, then each inlined subroutine inside the one before; empty if the unit has
// no function there. `address` as in the file.
[[nodiscard]] std::vector<Dwarf_Die> inline_chain(Dwarf_Die& unit, Dwarf_Addr address);

// "ns::f(int)" where there is a linkage name, else the plain name; "" if the DIE has none.
[[nodiscard]] std::string function_name(Dwarf_Die& function);

}  // namespace trapline::symbols
