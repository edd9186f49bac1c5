// What a name can mean within one module: its definitions in DWARF and in the symbol table.
#pragma once

#include <string>
#include <vector>

#include "symbols/expression.h"
#include "symbols/module_order.h"
#include "symbols/name_lookup.h"
#include "symbols/qualified_name.h"

namespace trapline::symbols {

struct ModuleMatch {
  NameMatch match = NameMatch::none;
  Definition definition;
};

struct NameQuery {
  NamedObject object;
  QualifiedName name;
  ProcessId pid;
};
[[nodiscard]] NameQuery make_query(const NamedObject& object, ProcessId pid);

// One match for each address; those that cannot be watched have a `problem`.
[[nodiscard]] std::vector<ModuleMatch> variables_in(const ModuleView& view, const NameQuery& query);
[[nodiscard]] std::vector<ModuleMatch> functions_in(const ModuleView& view, const NameQuery& query);

}  // namespace trapline::symbols
