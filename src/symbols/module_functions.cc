#include <dwarf.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "symbols/candidate_names.h"
#include "symbols/die_facts.h"
#include "symbols/dwarf_search.h"
#include "symbols/elf_symbols.h"
#include "symbols/module_names.h"
#include "symbols/unit_ranges.h"

namespace trapline::symbols {
namespace {

// Constructors and destructors come in variants ("C1" with virtual bases, "C2" without) that people
// do not tell apart.
bool are_variants(const std::string& one, const std::string& other) {
  if (one.size() != other.size()) return false;
  const auto [left, right] = std::ranges::mismatch(one, other);
  if (left == one.end() || left == one.begin()) return false;
  const char before = *std::prev(left);
  return (before == 'C' || before == 'D') && std::string_view("0123456789").contains(*left) &&
         std::equal(std::next(left), one.end(), std::next(right));
}

// The search of one module for one function.
class FunctionSearch {
 public:
  FunctionSearch(const ModuleView& view, const NameQuery& query) : view_(view), query_(query) {
    dwarf_ = dwfl_module_getdwarf(view.module, &bias_);
  }

  std::vector<ModuleMatch> run() {
    const std::vector<ElfSymbol> symbols = find_elf_symbols(view_.module, query_.name);
    if (dwarf_ != nullptr) search_dwarf();
    for (const ElfSymbol& symbol : symbols) {
      if (symbol.kind == SymbolKind::function) add_symbol(symbol);
    }
    drop_copies();
    add_inlined_only();
    for (ModuleMatch& match : matches_) match.definition.inlined_copies = inlined_;
    return std::move(matches_);
  }

 private:
  [[nodiscard]] Definition start_definition() const {
    Definition definition;
    definition.module_path = view_.path;
    definition.module_start = view_.start;
    return definition;
  }

  [[nodiscard]] bool is_right_file(const std::string& source, const std::string& declared) const {
    const std::string& file = query_.object.file;
    return file.empty() || is_path_tail(source, file) || is_path_tail(declared, file) ||
           is_path_tail(view_.path, file);
  }

  void search_dwarf() {
    const std::string own(without_parameters(query_.name.back().name));
    for (NamedDie& named : find_functions(dwarf_, own)) {
      QualifiedName name = std::move(named.scope);
      name.push_back({own, false});
      if (const auto linkage = linkage_name(named.die))
        name = split_name(demangle(linkage->c_str()));
      const NameMatch match = match_name(name, query_.name);
      if (match == NameMatch::none) continue;
      const std::string file = source_path(named.unit);
      if (!is_right_file(file, declaration_file(named.die))) continue;
      if (dwarf_tag(&named.die) == DW_TAG_inlined_subroutine) {
        ++inlined_;
        continue;
      }
      const auto entry = entry_of(named.die);
      if (!entry) continue;
      Definition definition = start_definition();
      definition.name = join_name(name);
      definition.file = file;
      definition.address = RemoteAddress(*entry + bias_);
      if (find(definition.address) == nullptr) matches_.push_back({match, std::move(definition)});
    }
  }

  [[nodiscard]] ModuleMatch* find(RemoteAddress address) {
    const auto found = std::ranges::find_if(
        matches_, [&](const ModuleMatch& match) { return match.definition.address == address; });
    return found == matches_.end() ? nullptr : &*found;
  }

  [[nodiscard]] std::string file_at(RemoteAddress address) {
    if (dwarf_ == nullptr) return {};
    if (!units_) units_.emplace(dwarf_);
    const auto unit = units_->unit_at(address.value() - bias_);
    return unit ? source_path(*unit) : std::string();
  }

  void add_symbol(const ElfSymbol& symbol) {
    ModuleMatch* match = find(symbol.address);
    if (match == nullptr) {
      Definition definition = start_definition();
      definition.name = join_name(symbol.readable);
      definition.file = file_at(symbol.address);
      if (definition.file.empty()) definition.file = symbol.file;
      definition.address = symbol.address;
      if (!is_right_file(definition.file, {})) return;
      match = &matches_.emplace_back(ModuleMatch{symbol.match, std::move(definition)});
    }
    Definition& definition = match->definition;
    if (!symbol.is_local) definition.linkage_name = symbol.name;
    if (symbol.is_copy) copies_.push_back(symbol);
    if (symbol.is_chosen_at_run_time) explain_choice(definition);
    link(symbol, *match);
  }

  void explain_choice(Definition& definition) const {
    definition.problem = fmt::format(
        "has several implementations, and the program chose one when it was loaded: watch that one "
        "by its own name (perf record shows it; for memcpy of the C library it is, for example, "
        "__memmove_avx_unaligned_erms)");
  }

  // A variant of a constructor is the same function to whoever asks.
  void link(const ElfSymbol& symbol, const ModuleMatch& match) {
    const auto original = std::ranges::find_if(
        named_, [&](const ElfSymbol& other) { return are_variants(other.name, symbol.name); });
    if (original == named_.end()) {
      named_.push_back(symbol);
      return;
    }
    const RemoteAddress address = match.definition.address;
    if (ModuleMatch* const first = find(original->address)) note_copy(first->definition, symbol);
    std::erase_if(matches_,
                  [&](const ModuleMatch& other) { return other.definition.address == address; });
  }

  static void note_copy(Definition& definition, const ElfSymbol& copy) {
    definition.notes.push_back(fmt::format("calls of {} are not seen; it is watched as *{:#x}",
                                           copy.name, copy.address.value()));
  }

  // Specialised copies stand back behind the function itself.
  void drop_copies() {
    if (copies_.empty()) return;
    const auto is_copy = [&](const ModuleMatch& match) {
      return std::ranges::find(copies_, match.definition.address, &ElfSymbol::address) !=
             copies_.end();
    };
    const auto original = std::ranges::find_if_not(matches_, is_copy);
    const bool has_original = original != matches_.end();
    for (ModuleMatch& match : matches_) {
      if (has_original && is_copy(match)) continue;
      for (const ElfSymbol& copy : copies_) {
        if (copy.address != match.definition.address) note_copy(match.definition, copy);
      }
      if (is_copy(match))
        match.definition.notes.push_back("the compiler kept only a specialised copy of it");
    }
    if (has_original) std::erase_if(matches_, is_copy);
  }

  void add_inlined_only() {
    if (!matches_.empty() || inlined_ == 0) return;
    Definition definition = start_definition();
    definition.problem = fmt::format(
        "has no code of its own: it is inlined in {} {}; watch a function that calls it", inlined_,
        inlined_ == 1 ? "place" : "places");
    matches_.push_back({NameMatch::tail, std::move(definition)});
  }

  const ModuleView& view_;
  const NameQuery& query_;
  Dwarf* dwarf_ = nullptr;
  Dwarf_Addr bias_ = 0;
  std::optional<UnitRanges> units_;
  std::vector<ModuleMatch> matches_;
  std::vector<ElfSymbol> copies_;
  std::vector<ElfSymbol> named_;  // one of each set of variants
  std::size_t inlined_ = 0;
};

}  // namespace

std::vector<ModuleMatch> functions_in(const ModuleView& view, const NameQuery& query) {
  return FunctionSearch(view, query).run();
}

}  // namespace trapline::symbols
