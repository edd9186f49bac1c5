// Source positions from DWARF. A position that is not known has an empty file and line 0.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <string>

namespace trapline::symbols {

struct SourceLine {
  std::string file;  // absolute, if the unit tells its directory
  std::uint32_t line = 0;
};

// `address` as in the file.
[[nodiscard]] SourceLine line_at(Dwarf_Die& unit, Dwarf_Addr address);

// Where an inlined subroutine was called.
[[nodiscard]] SourceLine call_site(Dwarf_Die& unit, Dwarf_Die& inlined);

}  // namespace trapline::symbols
