#include <dwarf.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "symbols/candidate_names.h"
#include "symbols/die_facts.h"
#include "symbols/dwarf_search.h"
#include "symbols/elf_symbols.h"
#include "symbols/module_names.h"
#include "symbols/variable_location.h"

namespace trapline::symbols {
namespace {

// The search of one module for one variable.
class VariableSearch {
 public:
  VariableSearch(const ModuleView& view, const NameQuery& query) : view_(view), query_(query) {
    dwarf_ = dwfl_module_getdwarf(view.module, &bias_);
  }

  std::vector<ModuleMatch> run() {
    // Without DWARF, or with what it does not tell: the symbol table.
    if (dwarf_ != nullptr) search_dwarf(SearchDepth::scopes);
    if (has_usable()) return std::move(matches_);
    auto symbols = elf_matches();
    const bool may_be_in_function = may_be_function_static(symbols);
    if (dwarf_ != nullptr && may_be_in_function) search_dwarf(SearchDepth::functions);
    if (!has_usable()) std::ranges::move(symbols, std::back_inserter(matches_));
    if (matches_.empty() && placeless_) matches_.push_back(std::move(*placeless_));
    return std::move(matches_);
  }

 private:
  // Going through the bodies of functions is slow: only if a symbol says that there is something to
  // find, or no symbol can say so.
  [[nodiscard]] bool may_be_function_static(const std::vector<ModuleMatch>& exactly_named) const {
    if (!has_local_symbols(view_.module)) return true;
    // GCC's symbol of a C function's static does not name the function.
    if (exactly_named.empty()) {
      return query_.name.size() > 1 &&
             !find_elf_symbols(view_.module, {query_.name.back()}).empty();
    }
    return std::ranges::any_of(exactly_named, [](const ModuleMatch& match) {
      return match.definition.linkage_name.empty() || match.match != NameMatch::exact;
    });
  }

  [[nodiscard]] bool has_usable() const {
    return std::ranges::any_of(
        matches_, [](const ModuleMatch& match) { return match.definition.problem.empty(); });
  }

  [[nodiscard]] Definition start_definition() const {
    Definition definition;
    definition.module_path = view_.path;
    definition.module_start = view_.start;
    return definition;
  }

  [[nodiscard]] bool is_right_file(const Definition& definition,
                                   const std::string& declared) const {
    const std::string& file = query_.object.file;
    return file.empty() || is_path_tail(definition.file, file) || is_path_tail(declared, file) ||
           is_path_tail(view_.path, file);
  }

  void search_dwarf(SearchDepth depth) {
    matches_.clear();
    const std::string own(query_.name.back().name);
    for (NamedDie& named : find_variables(dwarf_, own, depth)) {
      QualifiedName name = std::move(named.scope);
      name.push_back({own, false});
      const NameMatch match = match_name(name, query_.name);
      if (match != NameMatch::none) add_die(named, name, match, depth);
    }
  }

  void add_die(NamedDie& named, const QualifiedName& name, NameMatch match, SearchDepth depth) {
    Definition definition = start_definition();
    definition.name = join_name(name);
    definition.file = source_path(named.unit);
    definition.type = type_of(named.die);
    const bool is_declaration = dwarf_hasattr(&named.die, DW_AT_declaration) != 0;
    // Whichever file declares it, it is the same thing.
    if (is_declaration) declared_ = definition.type;
    if (is_declaration || !is_right_file(definition, declaration_file(named.die))) return;
    const VariableLocation location = location_of(named.die);
    if (location.reason == NoAddress::moving && depth == SearchDepth::functions) return;
    if (location.reason != NoAddress::none)
      definition.problem = explain(location.reason, query_.object.name, query_.pid.value);
    if (location.reason == NoAddress::no_location) {
      // Perhaps another unit, or the symbol table, tells where it is.
      declared_ = definition.type;
      placeless_ = ModuleMatch{match, std::move(definition)};
      return;
    }
    definition.address = RemoteAddress(location.address.value_or(0) + bias_);
    definition.size =
        definition.type ? size_of(*definition.type).value_or(ByteCount{0}) : ByteCount{};
    if (dwarf_hasattr_integrate(&named.die, DW_AT_external) != 0)
      definition.linkage_name = linkage_name(named.die).value_or(name.back().name);
    add(match, std::move(definition));
  }

  void add(NameMatch match, Definition definition) {
    const bool is_known = std::ranges::any_of(matches_, [&](const ModuleMatch& other) {
      return other.definition.problem.empty() == definition.problem.empty() &&
             other.definition.address == definition.address;
    });
    if (!is_known) matches_.push_back({match, std::move(definition)});
  }

  [[nodiscard]] std::vector<ModuleMatch> elf_matches() const {
    std::vector<ModuleMatch> found;
    for (ElfSymbol& symbol : find_elf_symbols(view_.module, query_.name)) {
      if (symbol.kind == SymbolKind::function) continue;
      Definition definition = start_definition();
      definition.name = join_name(symbol.readable);
      definition.file = symbol.file;
      if (!is_right_file(definition, {})) continue;
      definition.address = symbol.address;
      definition.size = symbol.size;
      definition.type = declared_;
      if (!symbol.is_local) definition.linkage_name = symbol.name;
      if (symbol.kind == SymbolKind::thread_local_object) {
        definition.problem =
            explain(NoAddress::thread_local_storage, query_.object.name, query_.pid.value);
      }
      found.push_back({symbol.match, std::move(definition)});
    }
    return found;
  }

  const ModuleView& view_;
  const NameQuery& query_;
  Dwarf* dwarf_ = nullptr;
  Dwarf_Addr bias_ = 0;
  std::optional<DwarfType> declared_;  // the type, where only declarations tell it
  std::optional<ModuleMatch> placeless_;
  std::vector<ModuleMatch> matches_;
};

}  // namespace

NameQuery make_query(const NamedObject& object, ProcessId pid) {
  return {object, split_name(object.name), pid};
}

std::vector<ModuleMatch> variables_in(const ModuleView& view, const NameQuery& query) {
  return VariableSearch(view, query).run();
}

}  // namespace trapline::symbols
