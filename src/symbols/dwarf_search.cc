#include "symbols/dwarf_search.h"

#include <dwarf.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "symbols/unit_filter.h"

namespace trapline::symbols {
namespace {

constexpr int kMaxDepth = 64;  // of nested scopes

std::string join_scope(const std::string& outer, const char* inner) {
  const std::string name = inner == nullptr ? "(anonymous namespace)" : inner;
  return outer.empty() ? name : outer + "::" + name;
}

bool is_scope(int tag) {
  switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
    case DW_TAG_subprogram:
    case DW_TAG_lexical_block:
    case DW_TAG_inlined_subroutine:
    case DW_TAG_imported_unit:
      return true;
    default:
      return false;
  }
}

// The scope in which a definition outside of its class or namespace was declared.
std::string scope_of_declaration(Dwarf_Die& definition, const std::string& here) {
  Dwarf_Attribute attribute;
  Dwarf_Die declaration;
  if (dwarf_attr(&definition, DW_AT_specification, &attribute) == nullptr ||
      dwarf_formref_die(&attribute, &declaration) == nullptr) {
    return here;
  }
  Dwarf_Die* scopes = nullptr;
  const int count = dwarf_getscopes_die(&declaration, &scopes);
  std::string scope;
  // Innermost first; the declaration itself and the unit are not scopes of it.
  for (int index = count - 2; index > 0; --index)
    scope = join_scope(scope, dwarf_diename(&scopes[index]));
  std::free(scopes);
  return scope;
}

// Visits DIEs that can hold named things, outside in, with the scope they stand in.
class Walker {
 public:
  using Visitor = std::function<void(Dwarf_Die&, int tag, const std::string& scope)>;
  explicit Walker(Visitor visit) : visit_(std::move(visit)) {}

  void walk(Dwarf_Die& parent, const std::string& scope, int depth = kMaxDepth) {
    Dwarf_Die child;
    if (depth == 0 || dwarf_child(&parent, &child) != 0) return;
    do {
      const int tag = dwarf_tag(&child);
      visit_(child, tag, scope);
      if (!is_scope(tag)) continue;
      if (tag == DW_TAG_imported_unit) {
        walk_imported(child, scope, depth);
      } else if (tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine) {
        walk(child, scope, depth - 1);
      } else {
        walk(child, join_scope(scope_of_declaration(child, scope), dwarf_diename(&child)),
             depth - 1);
      }
    } while (dwarf_siblingof(&child, &child) == 0);
  }

 private:
  void walk_imported(Dwarf_Die& import, const std::string& scope, int depth) {
    Dwarf_Attribute attribute;
    Dwarf_Die unit;
    if (dwarf_attr(&import, DW_AT_import, &attribute) != nullptr &&
        dwarf_formref_die(&attribute, &unit) != nullptr) {
      walk(unit, scope, depth - 1);
    }
  }

  Visitor visit_;
};

bool has_name(Dwarf_Die& die, std::string_view name) {
  const char* const own = dwarf_diename(&die);
  return own != nullptr && own == name;
}

}  // namespace

std::string_view last_component(std::string_view qualified) {
  int depth = 0;
  for (std::size_t index = qualified.size(); index-- > 1;) {
    const char c = qualified[index];
    if (c == '>' || c == ')') ++depth;
    if (c == '<' || c == '(') --depth;
    if (depth == 0 && c == ':' && qualified[index - 1] == ':') return qualified.substr(index + 1);
  }
  return qualified;
}

std::vector<NamedDie> find_variables(Dwarf* dwarf, std::string_view name) {
  std::vector<NamedDie> found;
  for (Dwarf_Die unit : units_mentioning(dwarf, name)) {
    Walker walker([&](Dwarf_Die& die, int tag, const std::string& scope) {
      if (tag == DW_TAG_variable && has_name(die, name)) {
        found.push_back({die, unit, scope_of_declaration(die, scope)});
      }
    });
    walker.walk(unit, {});
  }
  return found;
}

std::vector<NamedDie> find_functions(Dwarf* dwarf, std::string_view name, std::size_t& inlined) {
  std::vector<NamedDie> found;
  for (Dwarf_Die unit : units_mentioning(dwarf, name)) {
    Walker walker([&](Dwarf_Die& die, int tag, const std::string& scope) {
      if (tag == DW_TAG_inlined_subroutine && has_name(die, name)) ++inlined;
      if (tag == DW_TAG_subprogram && has_name(die, name))
        found.push_back({die, unit, scope_of_declaration(die, scope)});
    });
    walker.walk(unit, {});
  }
  return found;
}

void for_each_variable_name(Dwarf* dwarf, std::size_t max_units,
                            const std::function<void(std::string_view)>& visit) {
  std::vector<Dwarf_Die> units = all_units(dwarf);
  units.resize(std::min(units.size(), max_units));
  for (Dwarf_Die& unit : units) {
    Dwarf_Die child;
    if (dwarf_child(&unit, &child) != 0) continue;
    do {
      const char* const name =
          dwarf_tag(&child) == DW_TAG_variable ? dwarf_diename(&child) : nullptr;
      if (name != nullptr) visit(name);
    } while (dwarf_siblingof(&child, &child) == 0);
  }
}

}  // namespace trapline::symbols
