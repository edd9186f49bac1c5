#include "symbols/dwarf_search.h"

#include <dwarf.h>

#include <algorithm>
#include <cstdlib>
#include <span>
#include <unordered_map>
#include <utility>

#include "symbols/die_facts.h"
#include "symbols/unit_filter.h"

namespace trapline::symbols {
namespace {

// A definition refers to a declaration, an inlined copy to the definition: references are at most
// this many deep.
constexpr int kMaxRounds = 3;

ScopeName scope_name(Dwarf_Die& scope) {
  const char* const name = dwarf_diename(&scope);
  const bool is_namespace = dwarf_tag(&scope) == DW_TAG_namespace;
  if (name == nullptr)
    return {is_namespace ? std::string(kAnonymousNamespace) : "(unnamed)", is_namespace};
  return {name, is_namespace && dwarf_hasattr(&scope, DW_AT_export_symbols) != 0};
}

bool is_code(int tag) {
  return tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block ||
         tag == DW_TAG_inlined_subroutine;
}

bool is_type(int tag) {
  return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type ||
         tag == DW_TAG_enumeration_type;
}

bool is_scope(int tag, SearchDepth depth) {
  if (is_code(tag)) return depth == SearchDepth::functions;
  return tag == DW_TAG_namespace || tag == DW_TAG_module || is_type(tag);
}

// What a definition or a copy was declared as.
std::optional<Dwarf_Die> origin_of(Dwarf_Die die) {
  for (const unsigned name : {DW_AT_specification, DW_AT_abstract_origin}) {
    Dwarf_Attribute attribute;
    Dwarf_Die origin;
    if (dwarf_attr(&die, name, &attribute) != nullptr &&
        dwarf_formref_die(&attribute, &origin) != nullptr) {
      return origin;
    }
  }
  return std::nullopt;
}

Dwarf_Die first_declaration(Dwarf_Die die) {
  for (int round = 0; round < kMaxRounds; ++round) {
    const auto origin = origin_of(die);
    if (!origin) break;
    die = *origin;
  }
  return die;
}

QualifiedName scope_of(Dwarf_Die declaration);

// The names of nested scopes, outermost first.
QualifiedName names_of(std::span<Dwarf_Die> scopes) {
  QualifiedName name;
  for (Dwarf_Die& scope : scopes) {
    if (dwarf_tag(&scope) == DW_TAG_lexical_block) continue;
    // A class or function may be defined outside of the namespace that declares it.
    const Dwarf_Die declared = first_declaration(scope);
    if (declared.addr != scope.addr) name = scope_of(declared);
    name.push_back(scope_name(scope));
  }
  return name;
}

// Slow: elfutils looks for the way to a DIE from the top of its unit.
QualifiedName scope_of(Dwarf_Die declaration) {
  Dwarf_Die* scopes = nullptr;
  const int count = dwarf_getscopes_die(&declaration, &scopes);
  QualifiedName name;
  if (count > 2) {
    // Innermost first; the declaration itself and the unit are not scopes of it.
    const std::span outer(scopes + 1, static_cast<std::size_t>(count) - 2);
    std::ranges::reverse(outer);
    name = names_of(outer);
  }
  std::free(scopes);
  return name;
}

// Goes through a unit outside in, only into what contains one of the places.
class Walker {
 public:
  using Visitor = std::function<void(Dwarf_Die&, int tag, std::span<Dwarf_Die> scopes)>;

  Walker(const UnitPlaces& places, SearchDepth depth, Visitor visit)
      : places_(places), depth_(depth), visit_(std::move(visit)) {}

  void walk() {
    Dwarf_Die unit = places_.unit;
    walk_children(unit, places_.end, kMaxScopeDepth);
  }

 private:
  [[nodiscard]] bool is_wanted(Dwarf_Off start, Dwarf_Off end) const {
    if (places_.everywhere) return true;
    const auto place = std::ranges::lower_bound(places_.places, start);
    return place != places_.places.end() && *place < end;
  }

  void walk_children(Dwarf_Die& parent, Dwarf_Off end, int levels) {
    Dwarf_Die child;
    if (levels == 0 || dwarf_child(&parent, &child) != 0) return;
    bool has_next = true;
    while (has_next) {
      const Dwarf_Off start = dwarf_dieoffset(&child);
      if (!is_wanted(start, end)) return;  // nor can a later one be
      Dwarf_Die next;
      has_next = dwarf_siblingof(&child, &next) == 0;
      const Dwarf_Off child_end = has_next ? dwarf_dieoffset(&next) : end;
      if (is_wanted(start, child_end)) {
        const int tag = dwarf_tag(&child);
        visit_(child, tag, scopes_);
        if (is_scope(tag, depth_)) {
          scopes_.push_back(child);
          walk_children(child, child_end, levels - 1);
          scopes_.pop_back();
        }
      }
      child = next;
    }
  }

  const UnitPlaces& places_;
  SearchDepth depth_;
  Visitor visit_;
  std::vector<Dwarf_Die> scopes_;  // around the DIE at hand, outermost first
};

bool has_name(Dwarf_Die& die, std::string_view name) {
  const char* const own = dwarf_diename(&die);
  return own != nullptr && own == name;
}

// The DIEs of one name: those that mention it, then those that refer to these, and so on.
class Search {
 public:
  using Question = bool (*)(Dwarf_Die&);

  Search(Dwarf* dwarf, std::string_view name, SearchDepth depth)
      : filter_(dwarf), name_(name), depth_(depth) {}

  // `is_referred_to`: whether the DIE's definition or copies may be elsewhere, without the name.
  std::vector<NamedDie> run(Question is_wanted, Question is_referred_to) {
    visit(filter_.mentions_of(name_), is_wanted);
    std::size_t fresh = 0;
    for (int round = 0; round < kMaxRounds && fresh < found_.size(); ++round) {
      std::vector<Dwarf_Off> referred;
      for (; fresh < found_.size(); ++fresh) {
        if (is_referred_to(found_[fresh].die))
          referred.push_back(dwarf_dieoffset(&found_[fresh].die));
      }
      if (!referred.empty()) visit(filter_.references_to(referred), is_wanted);
    }
    return std::move(found_);
  }

 private:
  void visit(const std::vector<UnitPlaces>& units, Question is_wanted) {
    for (const UnitPlaces& unit : units) {
      Walker walker(unit, depth_, [&](Dwarf_Die& die, int, std::span<Dwarf_Die> scopes) {
        if (!is_wanted(die) || !has_name(die, name_)) return;
        if (!known_.try_emplace(die.addr, found_.size()).second) return;
        found_.push_back({die, source_unit(die, unit.unit), scope_for(die, scopes)});
      });
      walker.walk();
    }
  }

  // Link-time optimisation puts definitions into units without a source file.
  static Dwarf_Die source_unit(const Dwarf_Die& die, Dwarf_Die unit) {
    const char* const name = dwarf_diename(&unit);
    if (name == nullptr || std::string_view(name) != kMergedUnit) return unit;
    Dwarf_Die declared = first_declaration(die);
    Dwarf_Die source;
    return dwarf_diecu(&declared, &source, nullptr, nullptr) == nullptr ? unit : source;
  }

  [[nodiscard]] QualifiedName scope_for(const Dwarf_Die& die, std::span<Dwarf_Die> scopes) const {
    const Dwarf_Die declared = first_declaration(die);
    if (declared.addr == die.addr) return names_of(scopes);
    const auto known = known_.find(declared.addr);
    return known == known_.end() ? scope_of(declared) : found_[known->second].scope;
  }

  UnitFilter filter_;
  std::string_view name_;
  SearchDepth depth_;
  std::unordered_map<void*, std::size_t> known_;  // by DIE, to its place in found_
  std::vector<NamedDie> found_;
};

bool is_variable(Dwarf_Die& die) {
  const int tag = dwarf_tag(&die);
  // Before DWARF 5 a static member is declared as a member.
  return tag == DW_TAG_variable ||
         (tag == DW_TAG_member && dwarf_hasattr(&die, DW_AT_declaration) != 0);
}

bool is_function_or_copy(Dwarf_Die& die) {
  const int tag = dwarf_tag(&die);
  return tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;
}

}  // namespace

std::vector<NamedDie> find_variables(Dwarf* dwarf, std::string_view name, SearchDepth depth) {
  return Search(dwarf, name, depth).run(&is_variable, [](Dwarf_Die& die) {
    return dwarf_hasattr(&die, DW_AT_location) == 0;
  });
}

std::vector<NamedDie> find_functions(Dwarf* dwarf, std::string_view name) {
  return Search(dwarf, name, SearchDepth::functions).run(&is_function_or_copy, [](Dwarf_Die& die) {
    return dwarf_tag(&die) == DW_TAG_subprogram && dwarf_hasattr(&die, DW_AT_low_pc) == 0;
  });
}

std::optional<Dwarf_Die> find_complete_type(Dwarf* dwarf, Dwarf_Die declaration) {
  const char* const name = dwarf_diename(&declaration);
  if (name == nullptr) return std::nullopt;
  const QualifiedName scope = scope_of(declaration);
  const auto found = Search(dwarf, name, SearchDepth::scopes)
                         .run([](Dwarf_Die& die) { return is_type(dwarf_tag(&die)); },
                              [](Dwarf_Die&) { return false; });
  for (const NamedDie& named : found) {
    Dwarf_Die die = named.die;
    if (dwarf_hasattr(&die, DW_AT_declaration) == 0 && join_name(named.scope) == join_name(scope))
      return die;
  }
  return std::nullopt;
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
