// Which compilation units can mention a name: see dwarf_search.h.
#pragma once

#include <elfutils/libdw.h>

#include <string_view>
#include <vector>

namespace trapline::symbols {

// The unit DIEs that can hold a DIE named `name`: a superset, all of them where the raw bytes are
// no sure guide.
[[nodiscard]] std::vector<Dwarf_Die> units_mentioning(Dwarf* dwarf, std::string_view name);

// All compilation units.
[[nodiscard]] std::vector<Dwarf_Die> all_units(Dwarf* dwarf);

}  // namespace trapline::symbols
