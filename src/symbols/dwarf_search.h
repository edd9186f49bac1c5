// Finding the DIEs of a name in a module's DWARF without walking all of it.
//
// Binaries have hundreds of megabytes of DWARF and usually no index of names. The compilation units
// that can hold a name are those whose bytes refer to it: the name's offsets in .debug_str are
// looked for in .debug_info (and, for the indexed forms, in .debug_str_offsets), the name itself
// where it is stored inline (DWARF 5, 7.5.5 "string"). That is one linear pass over raw bytes; only
// the units found are walked. A superset is harmless, so a module where the pass would not be sure
// (a supplementary file, 64-bit DWARF, split units) is walked whole.
#pragma once

#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace trapline::symbols {

// A variable or function DIE that carries the name.
struct NamedDie {
  Dwarf_Die die{};
  Dwarf_Die unit{};   // its compilation unit
  std::string scope;  // "ns::Class", "file-level function"; "" at file level
};

// The last component of a qualified name: "ns::Vec<a::b>::count" -> "count".
[[nodiscard]] std::string_view last_component(std::string_view qualified);

// Every variable (with static members and function statics) whose own name is `name`, declarations
// included.
[[nodiscard]] std::vector<NamedDie> find_variables(Dwarf* dwarf, std::string_view name);
// Every function whose own name is `name`; inlined copies are counted in `inlined`.
[[nodiscard]] std::vector<NamedDie> find_functions(Dwarf* dwarf, std::string_view name,
                                                   std::size_t& inlined);

// Calls `visit` with the name of each file-level and namespace-level variable, in at most
// `max_units` units.
void for_each_variable_name(Dwarf* dwarf, std::size_t max_units,
                            const std::function<void(std::string_view)>& visit);

}  // namespace trapline::symbols
