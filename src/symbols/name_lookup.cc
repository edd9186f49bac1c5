#include "symbols/name_lookup.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "symbols/candidate_names.h"
#include "symbols/dwarf_search.h"
#include "symbols/elf_symbols.h"
#include "symbols/module_names.h"
#include "symbols/module_order.h"
#include "symbols/module_path.h"
#include "symbols/nearest_names.h"

namespace trapline::symbols {
namespace {

constexpr std::size_t kMaxCandidates = 8;
// Read for "did you mean": enough for any program, bounded for the giants.
constexpr std::size_t kMaxUnitsForNames = 2000;
constexpr std::size_t kMaxSymbolsForNames = 200'000;

// The search for one name through the modules of a process.
class Lookup {
 public:
  Lookup(ProcessImage& image, const NamedObject& object, SymbolKind kind)
      : image_(image),
        query_(make_query(object, image.pid())),
        kind_(kind),
        views_(modules_in_lookup_order(image)) {}

  Result<Definition> run() {
    if (views_.empty()) return std::unexpected(unknown());
    if (auto found = choose(search(views_.front()), false)) return complete(std::move(*found));
    std::vector<ModuleMatch> elsewhere;
    for (const ModuleView& view : std::span(views_).subspan(1)) {
      if (!may_define(view.module, query_.name)) continue;
      auto here = search(view);
      const bool is_settled = std::ranges::any_of(here, [](const ModuleMatch& match) {
        return match.match == NameMatch::exact && !match.definition.linkage_name.empty() &&
               match.definition.problem.empty();
      });
      std::ranges::move(here, std::back_inserter(elsewhere));
      if (is_settled) break;
    }
    if (auto found = choose(elsewhere, true)) return complete(std::move(*found));
    return std::unexpected(unknown());
  }

 private:
  [[nodiscard]] std::vector<ModuleMatch> search(const ModuleView& view) const {
    return kind_ == SymbolKind::function ? functions_in(view, query_) : variables_in(view, query_);
  }

  // The one that is meant, an error if there are several or it cannot be watched, nothing if there
  // is none. Exact names come before those of which only the tail fits. What the dynamic linker
  // finds first in the libraries is what the program uses.
  [[nodiscard]] std::optional<Result<Definition>> choose(const std::vector<ModuleMatch>& matches,
                                                         bool in_libraries) const {
    for (const NameMatch grade : {NameMatch::exact, NameMatch::tail}) {
      std::vector<Definition> usable;
      const Definition* refused = nullptr;
      for (const ModuleMatch& match : matches) {
        if (match.match != grade) continue;
        if (match.definition.problem.empty()) {
          usable.push_back(match.definition);
        } else if (refused == nullptr) {
          refused = &match.definition;
        }
      }
      if (usable.empty() && refused != nullptr) {
        return fail(ErrorCode::bad_type,
                    fmt::format("{} {}", query_.object.name, refused->problem));
      }
      if (usable.empty()) continue;
      const auto exported =
          std::ranges::find_if_not(usable, &std::string::empty, &Definition::linkage_name);
      const bool is_bound =
          in_libraries && exported != usable.end() &&
          std::ranges::all_of(usable, [&](const Definition& other) {
            return other.linkage_name.empty() || other.linkage_name == exported->linkage_name;
          });
      if (is_bound) return *exported;
      if (usable.size() > 1) return std::unexpected(ambiguous(usable));
      return usable.front();
    }
    return std::nullopt;
  }

  // What the dynamic linker made of it.
  [[nodiscard]] Result<Definition> complete(Result<Definition> found) const {
    if (!found || found->linkage_name.empty()) return found;
    Definition& definition = *found;
    const ModuleView& program = views_.front();
    const auto used = find_exported(program.module, definition.linkage_name);
    if (kind_ == SymbolKind::function || !used) return found;
    if (*used != definition.address) {
      definition.notes.push_back(fmt::format(
          "{} of {} is kept in {}, where the dynamic linker placed it", query_.object.name,
          basename_of(definition.module_path), basename_of(program.path)));
      definition.address = *used;
      definition.module_path = program.path;
      definition.module_start = program.start;
    }
    if (!definition.type) definition.type = type_from_libraries(definition.linkage_name);
    return found;
  }

  // The program has a copy of a library's variable, and only the library knows its type.
  [[nodiscard]] std::optional<DwarfType> type_from_libraries(const std::string& linkage) const {
    for (const ModuleView& view : std::span(views_).subspan(1)) {
      if (!find_exported(view.module, linkage)) continue;
      for (const ModuleMatch& match : variables_in(view, query_)) {
        if (match.definition.type) return match.definition.type;
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] static std::vector<std::string> labels_of(const std::vector<Definition>& found) {
    std::vector<Candidate> candidates;
    for (const Definition& definition : found) {
      const std::string length =
          definition.size.value > 0 ? fmt::format(":{}", definition.size.value) : std::string();
      candidates.push_back({definition.name, definition.file, definition.module_path,
                            fmt::format("*{:#x}{}", definition.address.value(), length)});
    }
    return tell_apart(candidates);
  }

  [[nodiscard]] Failure ambiguous(const std::vector<Definition>& found) const {
    auto labels = labels_of(found);
    const std::size_t more = labels.size() - std::min(labels.size(), kMaxCandidates);
    labels.resize(labels.size() - more);
    return {
        Error{ErrorCode::ambiguous_name},
        fmt::format("{} names {} things; say which: {}{}", query_.object.name, found.size(),
                    fmt::join(labels, ", "), more > 0 ? fmt::format(" and {} more", more) : "")};
  }

  [[nodiscard]] std::vector<std::string> nearest_names() const {
    NearestNames nearest(query_.object.name);
    std::size_t limit = kMaxSymbolsForNames;
    for (const ModuleView& view : views_) {
      for_each_elf_name(view.module, kind_, limit,
                        [&](std::string_view name) { nearest.offer(without_parameters(name)); });
    }
    Dwarf_Addr bias = 0;
    Dwarf* const dwarf = views_.empty() ? nullptr : dwfl_module_getdwarf(views_[0].module, &bias);
    if (dwarf != nullptr && kind_ == SymbolKind::object) {
      for_each_variable_name(dwarf, kMaxUnitsForNames,
                             [&](std::string_view name) { nearest.offer(name); });
    }
    return nearest.take();
  }

  [[nodiscard]] Failure unknown() const {
    const std::string_view program = views_.empty() ? "the program" : basename_of(views_[0].path);
    const std::string what = kind_ == SymbolKind::object ? "variable" : "function";
    if (auto hint = other_file()) return std::move(*hint);
    std::string message = fmt::format("{} has no {} called {}", program, what, query_.object.name);
    if (!query_.object.file.empty()) message += fmt::format(" in {}", query_.object.file);
    if (const auto names = nearest_names(); !names.empty())
      message += fmt::format("; the nearest names are: {}", fmt::join(names, ", "));
    Dwarf_Addr bias = 0;
    if (!views_.empty() && dwfl_module_getdwarf(views_[0].module, &bias) == nullptr) {
      message +=
          fmt::format(" ({} has no debug information: compile it with -g for all names)", program);
    }
    return {Error{ErrorCode::unknown_name}, std::move(message)};
  }

  // The name is there, but not in the file that was given.
  [[nodiscard]] std::optional<Failure> other_file() const {
    if (query_.object.file.empty()) return std::nullopt;
    NamedObject anywhere = query_.object;
    anywhere.file.clear();
    const auto found = Lookup(image_, anywhere, kind_).run();
    if (!found) {
      if (found.error().error.code == ErrorCode::ambiguous_name) return found.error();
      return std::nullopt;
    }
    return Failure{Error{ErrorCode::unknown_name},
                   fmt::format("{} has no {}, but there is {}", query_.object.file,
                               query_.object.name, labels_of({*found}).front())};
  }

  ProcessImage& image_;
  NameQuery query_;
  SymbolKind kind_;
  std::vector<ModuleView> views_;
};

}  // namespace

Result<Definition> find_variable(ProcessImage& image, const NamedObject& object) {
  return Lookup(image, object, SymbolKind::object).run();
}

Result<Definition> find_function(ProcessImage& image, const NamedObject& object) {
  return Lookup(image, object, SymbolKind::function).run();
}

std::optional<DwarfType> complete_type(ProcessImage& image, const DwarfType& type) {
  DwarfType peeled = peel(type);
  if (!is_declaration(peeled)) return type;
  // Its own module first: another may have a different type of that name.
  std::vector<Dwarf*> sources{dwarf_cu_getdwarf(peeled.die.cu)};
  for (const ModuleView& view : modules_in_lookup_order(image)) {
    Dwarf_Addr bias = 0;
    Dwarf* const dwarf = dwfl_module_getdwarf(view.module, &bias);
    if (dwarf != nullptr && dwarf != sources.front()) sources.push_back(dwarf);
  }
  for (Dwarf* const dwarf : sources) {
    if (const auto complete = find_complete_type(dwarf, peeled.die)) return DwarfType{*complete, 0};
  }
  return std::nullopt;
}

}  // namespace trapline::symbols
