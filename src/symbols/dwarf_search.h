// Finding the DIEs of a name in a module's DWARF without walking all of it: see unit_filter.h.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "symbols/qualified_name.h"

namespace trapline::symbols {

// A DIE that carries the name, itself or through the declaration or abstract instance it refers to.
struct NamedDie {
  Dwarf_Die die{};
  Dwarf_Die unit{};     // its compilation unit
  QualifiedName scope;  // where it was declared; functions and classes count
};

enum class SearchDepth : std::uint8_t {
  scopes,     // files, namespaces and classes
  functions,  // and the bodies of functions
};

// Every variable (static members too) whose own name is `name`, declarations included.
[[nodiscard]] std::vector<NamedDie> find_variables(Dwarf* dwarf, std::string_view name,
                                                   SearchDepth depth);
// Every function and every inlined copy of one whose own name is `name`.
[[nodiscard]] std::vector<NamedDie> find_functions(Dwarf* dwarf, std::string_view name);
// A complete struct, class, union or enumeration that `declaration` announces.
[[nodiscard]] std::optional<Dwarf_Die> find_complete_type(Dwarf* dwarf, Dwarf_Die declaration);

// Calls `visit` with the name of each file-level variable, in at most `max_units` units.
void for_each_variable_name(Dwarf* dwarf, std::size_t max_units,
                            const std::function<void(std::string_view)>& visit);

}  // namespace trapline::symbols
