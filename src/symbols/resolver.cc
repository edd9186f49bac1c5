#include "symbols/resolver.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "symbols/dwarf_search.h"
#include "symbols/dwarf_types.h"
#include "symbols/elf_symbols.h"
#include "symbols/nearest_names.h"

namespace trapline::symbols {
namespace {

// A machine word: what an address without a length means.
constexpr ByteCount kDefaultLength{sizeof(void*)};
constexpr std::size_t kMaxCandidates = 8;
// Units read for "did you mean": enough for any program, bounded for the giants.
constexpr std::size_t kMaxUnitsForNames = 2000;

// One place where a name is defined.
struct Definition {
  Dwfl_Module* module = nullptr;
  std::string module_path;
  RemoteAddress module_start;
  RemoteAddress address;
  std::optional<DwarfType> type;  // none: only an ELF symbol
  ByteCount size;
  std::string label;    // as one could type it to mean just this one
  std::string problem;  // why it has no address, a sentence's end: "is thread-local: ..."
};

struct ModuleView {
  Dwfl_Module* module;
  std::string path;
  RemoteAddress start;
};

// The program first, then its libraries as they lie in memory.
std::vector<ModuleView> modules_in_lookup_order(const ProcessImage& image) {
  std::vector<ModuleView> views;
  dwfl_getmodules(
      image.dwfl(),
      [](Dwfl_Module* module, void**, const char* name, Dwarf_Addr start, void* list) -> int {
        static_cast<std::vector<ModuleView>*>(list)->push_back(
            {module, name, RemoteAddress(start)});
        return DWARF_CB_OK;
      },
      &views, 0);
  std::error_code error;
  const auto program =
      std::filesystem::read_symlink(fmt::format("/proc/{}/exe", image.pid().value), error).string();
  std::ranges::stable_partition(views,
                                [&](const ModuleView& view) { return view.path == program; });
  return views;
}

bool is_path_tail(std::string_view path, std::string_view tail) {
  if (!path.ends_with(tail)) return false;
  return path.size() == tail.size() || path[path.size() - tail.size() - 1] == '/';
}

std::string unit_name(Dwarf_Die unit) {
  const char* const name = dwarf_diename(&unit);
  return name == nullptr ? std::string() : name;
}

std::string basename_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// "ns::Class::x" names x in any enclosing scope that ends so: exact names are preferred by the
// caller.
enum class NameMatch : std::uint8_t { none, tail, exact };

NameMatch match_name(const std::string& qualified, const std::string& wanted) {
  if (qualified == wanted) return NameMatch::exact;
  return qualified.ends_with("::" + wanted) ? NameMatch::tail : NameMatch::none;
}

// The address of a variable's DIE before relocation, or why it has none.
struct Location {
  std::optional<std::uint64_t> address;
  std::string problem;
};

constexpr const char* kThreadLocal =
    "is thread-local: every thread has its own. Take its address in the thread you mean (in gdb: "
    "print &NAME) and watch "
    "*ADDRESS:LENGTH, with -p and that thread's id to leave the others out";

Location location_of(Dwarf_Die die) {
  Dwarf_Attribute attribute;
  if (dwarf_attr_integrate(&die, DW_AT_location, &attribute) == nullptr) {
    if (dwarf_hasattr_integrate(&die, DW_AT_const_value) != 0)
      return {{}, "is a constant that has no memory"};
    return {{}, "was optimised away or is only declared: it has no memory"};
  }
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  if (dwarf_getlocation(&attribute, &operations, &count) != 0 || count == 0) {
    return {{}, "has no one place: it moves between registers and memory"};
  }
  const auto is_thread_local = [](const Dwarf_Op& operation) {
    return operation.atom == DW_OP_GNU_push_tls_address || operation.atom == DW_OP_form_tls_address;
  };
  if (std::ranges::any_of(std::span(operations, count), is_thread_local)) return {{}, kThreadLocal};
  if (count == 1 && operations[0].atom == DW_OP_addr) return {operations[0].number, {}};
  if (count == 1 &&
      (operations[0].atom == DW_OP_addrx || operations[0].atom == DW_OP_GNU_addr_index)) {
    Dwarf_Attribute indexed;
    Dwarf_Addr address = 0;
    if (dwarf_getlocation_attr(&attribute, operations, &indexed) == 0 &&
        dwarf_formaddr(&indexed, &address) == 0) {
      return {address, {}};
    }
  }
  return {{}, "lives in a register or on a stack: it has no fixed address"};
}

bool is_declaration(Dwarf_Die die) {
  return dwarf_hasattr(&die, DW_AT_declaration) != 0;
}

std::string qualified_name(const NamedDie& named) {
  Dwarf_Die die = named.die;
  const char* const own = dwarf_diename(&die);
  const std::string name = own == nullptr ? "" : own;
  return named.scope.empty() ? name : named.scope + "::" + name;
}

// Definitions found so far, the exactly named ones apart from those whose tail fits.
class Matches {
 public:
  void add(NameMatch match, Definition definition) {
    auto& list = match == NameMatch::exact ? exact_ : tail_;
    const bool is_known = std::ranges::any_of(list, [&](const Definition& other) {
      return other.problem.empty() == definition.problem.empty() &&
             other.address == definition.address;
    });
    if (!is_known) list.push_back(std::move(definition));
  }

  // Those with an address, exact ones first choice; if there are none, those with a problem to tell
  // of.
  [[nodiscard]] std::vector<Definition> take() const {
    for (const auto* list : {&exact_, &tail_}) {
      std::vector<Definition> usable;
      std::ranges::copy_if(*list, std::back_inserter(usable),
                           [](const Definition& one) { return one.problem.empty(); });
      if (!usable.empty()) return usable;
      if (!list->empty()) return {list->front()};
    }
    return {};
  }

 private:
  std::vector<Definition> exact_;
  std::vector<Definition> tail_;
};

// The search for one name through the modules of a process.
class Lookup {
 public:
  Lookup(ProcessImage& image, const NamedObject& object) : image_(image), object_(object) {}

  Result<Definition> variable() {
    return search([this](const ModuleView& view) { return variables_in(view); },
                  SymbolKind::object);
  }

  Result<Definition> function(std::size_t& inlined) {
    return search([this, &inlined](const ModuleView& view) { return functions_in(view, inlined); },
                  SymbolKind::function);
  }

 private:
  template <typename SearchModule>
  Result<Definition> search(SearchModule search_module, SymbolKind kind) {
    const auto views = modules_in_lookup_order(image_);
    for (const ModuleView& view : views) {
      auto found = search_module(view);
      if (found.size() > 1) return std::unexpected(ambiguous(found));
      if (found.size() == 1 && found.front().problem.empty()) return std::move(found.front());
      if (found.size() == 1) {
        return fail(ErrorCode::bad_type, fmt::format("{} {}", object_.name, found.front().problem));
      }
    }
    return std::unexpected(unknown(views, kind));
  }

  // Whether the file in front of the name, if any, means this unit, or this whole module.
  [[nodiscard]] bool means(const ModuleView& view, const std::string& file) const {
    return object_.file.empty() || is_path_tail(file, object_.file) ||
           is_path_tail(view.path, object_.file);
  }

  static Dwarf* dwarf_of(const ModuleView& view, std::uint64_t& bias) {
    Dwarf_Addr value = 0;
    Dwarf* const dwarf = dwfl_module_getdwarf(view.module, &value);
    bias = value;
    return dwarf;
  }

  [[nodiscard]] Definition start_definition(const ModuleView& view) const {
    Definition definition;
    definition.module = view.module;
    definition.module_path = view.path;
    definition.module_start = view.start;
    return definition;
  }

  std::vector<Definition> variables_in(const ModuleView& view) {
    Matches matches;
    std::optional<DwarfType> declared;
    std::uint64_t bias = 0;
    if (Dwarf* const dwarf = dwarf_of(view, bias)) {
      for (NamedDie& named : find_variables(dwarf, last_component(object_.name))) {
        const std::string file = unit_name(named.unit);
        const NameMatch match = match_name(qualified_name(named), object_.name);
        if (match == NameMatch::none || !means(view, file)) continue;
        if (is_declaration(named.die)) {
          declared = type_of(named.die);
          continue;
        }
        Definition definition = start_definition(view);
        const Location location = location_of(named.die);
        definition.problem = location.problem;
        if (location.address) definition.address = RemoteAddress(*location.address + bias);
        definition.type = type_of(named.die);
        if (definition.type) definition.size = size_of(*definition.type).value_or(ByteCount{0});
        definition.label = fmt::format("{}:{}", basename_of(file), qualified_name(named));
        matches.add(match, std::move(definition));
      }
    }
    auto found = matches.take();
    if (!found.empty()) return found;
    // Only declared here, but present: the linker's copy of a library's variable, whose type the
    // declaration tells.
    found = elf_definitions(view, SymbolKind::object);
    for (Definition& definition : found) definition.type = declared;
    return found;
  }

  std::vector<Definition> functions_in(const ModuleView& view, std::size_t& inlined) {
    Matches matches;
    std::uint64_t bias = 0;
    const std::string plain = object_.name.substr(0, object_.name.find('('));
    if (Dwarf* const dwarf = dwarf_of(view, bias)) {
      for (NamedDie& named : find_functions(dwarf, last_component(plain), inlined)) {
        const std::string file = unit_name(named.unit);
        Dwarf_Addr entry = 0;
        if (!means(view, file) || dwarf_entrypc(&named.die, &entry) != 0) continue;
        const std::string signature = signature_of(named);
        NameMatch match = match_name(qualified_name(named), object_.name);
        if (match == NameMatch::none) match = match_name(signature, object_.name);
        if (match == NameMatch::none) continue;
        Definition definition = start_definition(view);
        definition.address = RemoteAddress(entry + bias);
        definition.label = fmt::format("{}:{}", basename_of(file), signature);
        matches.add(match, std::move(definition));
      }
    }
    auto found = matches.take();
    return found.empty() ? elf_definitions(view, SymbolKind::function) : found;
  }

  // With parameters where the linkage name has them: "ns::f(int)".
  static std::string signature_of(const NamedDie& named) {
    Dwarf_Die die = named.die;
    Dwarf_Attribute attribute;
    const char* linkage = nullptr;
    if (dwarf_attr_integrate(&die, DW_AT_linkage_name, &attribute) != nullptr)
      linkage = dwarf_formstring(&attribute);
    return linkage == nullptr ? qualified_name(named) : demangle(linkage);
  }

  std::vector<Definition> elf_definitions(const ModuleView& view, SymbolKind kind) const {
    std::vector<Definition> found;
    if (!object_.file.empty() && !is_path_tail(view.path, object_.file)) return found;
    for (const ElfSymbol& symbol : find_elf_symbols(view.module, object_.name)) {
      Definition definition = start_definition(view);
      if (symbol.kind == SymbolKind::thread_local_object && kind == SymbolKind::object) {
        definition.problem = kThreadLocal;
      } else if (symbol.kind != kind) {
        continue;
      }
      definition.address = symbol.address;
      definition.size = symbol.size;
      definition.label = fmt::format("*{:#x}:{}", symbol.address.value(), symbol.size.value);
      found.push_back(std::move(definition));
    }
    return found;
  }

  [[nodiscard]] Failure ambiguous(const std::vector<Definition>& found) const {
    std::vector<std::string> labels;
    for (const Definition& definition : found) {
      if (labels.size() < kMaxCandidates) labels.push_back(definition.label);
    }
    const std::size_t more = found.size() - labels.size();
    return {
        Error{ErrorCode::ambiguous_name},
        fmt::format("{} names {} things; say which: {}{}", object_.name, found.size(),
                    fmt::join(labels, ", "), more > 0 ? fmt::format(" and {} more", more) : "")};
  }

  [[nodiscard]] Failure unknown(const std::vector<ModuleView>& views, SymbolKind kind) const {
    NearestNames nearest(object_.name);
    bool has_dwarf = false;
    for (const ModuleView& view : views) {
      const bool is_program = &view == &views.front();
      for_each_elf_name(view.module, kind, [&](std::string_view name) {
        nearest.offer(name.substr(0, name.find('(')));
      });
      std::uint64_t bias = 0;
      Dwarf* const dwarf = is_program ? dwarf_of(view, bias) : nullptr;
      if (dwarf == nullptr) continue;
      has_dwarf = true;
      if (kind == SymbolKind::object) {
        for_each_variable_name(dwarf, kMaxUnitsForNames,
                               [&](std::string_view name) { nearest.offer(name); });
      }
    }
    const std::string where = object_.file.empty() ? "" : fmt::format(" in {}", object_.file);
    const std::string program = views.empty() ? "the program" : basename_of(views.front().path);
    const auto names = nearest.take();
    std::string message =
        fmt::format("{} has no {} called {}{}", program,
                    kind == SymbolKind::object ? "variable" : "function", object_.name, where);
    if (!names.empty())
      message += fmt::format("; the nearest names are: {}", fmt::join(names, ", "));
    if (!has_dwarf)
      message +=
          fmt::format(" ({} has no debug information: compile it with -g for all names)", program);
    return {Error{ErrorCode::unknown_name}, std::move(message)};
  }

  ProcessImage& image_;
  const NamedObject& object_;
};

// Following ".member", "->member", "[index]" and "*" from a variable.
class Steps {
 public:
  Steps(MemoryReader& memory, RemoteAddress address, DwarfType type, std::string path)
      : memory_(memory), address_(address), type_(type), path_(std::move(path)) {}

  Result<void> take(const AccessStep& step) {
    switch (step.kind) {
      case AccessStep::Kind::member:
        return member(step.name, ".");
      case AccessStep::Kind::arrow: {
        if (auto followed = dereference("->"); !followed) return followed;
        return member(step.name, "->");
      }
      case AccessStep::Kind::element:
        return element(step.index);
      case AccessStep::Kind::dereference:
        return dereference("*");
    }
    return {};
  }

  [[nodiscard]] RemoteAddress address() const { return address_; }
  [[nodiscard]] const DwarfType& type() const { return type_; }
  [[nodiscard]] bool followed_pointer() const { return followed_pointer_; }

 private:
  Result<void> member(const std::string& name, std::string_view sign) {
    if (is_pointer(type_)) {
      return fail(ErrorCode::bad_type, fmt::format("{} is a pointer ({}): use {}->{}", path_,
                                                   name_of(type_), path_, name));
    }
    if (!is_aggregate(type_)) {
      return fail(ErrorCode::bad_type,
                  fmt::format("{} has no members: it is {}", path_, name_of(type_)));
    }
    std::vector<std::string> names;
    const auto found = find_member(type_, name, &names);
    if (!found) {
      return fail(ErrorCode::unknown_name,
                  fmt::format("{} ({}) has no member called {}; it has: {}", path_, name_of(type_),
                              name, fmt::join(names, ", ")));
    }
    if (found->is_bit_field) {
      return fail(ErrorCode::bad_type,
                  fmt::format("{}{}{} is a bit-field, and debug registers see whole bytes: watch "
                              "*{:#x}:1, the first byte "
                              "of the unit it lies in, or the whole {}",
                              path_, sign, name, (address_ + found->offset).value(), path_));
    }
    address_ = address_ + found->offset;
    type_ = found->type;
    path_ += fmt::format("{}{}", sign, name);
    return {};
  }

  Result<void> element(std::uint64_t index) {
    if (is_pointer(type_)) {
      if (auto followed = dereference("[]"); !followed) return followed;
      const auto size = size_of(type_);
      if (!size)
        return fail(ErrorCode::bad_type,
                    fmt::format("{} points to something of unknown size", path_));
      address_ = address_ + ByteCount{size->value * index};
      path_ += fmt::format("[{}]", index);
      return {};
    }
    const auto found = is_array(type_) ? element_of(type_) : std::nullopt;
    if (!found)
      return fail(ErrorCode::bad_type,
                  fmt::format("{} cannot be indexed: it is {}", path_, name_of(type_)));
    if (found->count && index >= *found->count) {
      return fail(ErrorCode::bad_type, fmt::format("{} has {} elements, 0 to {}: there is no [{}]",
                                                   path_, *found->count, *found->count - 1, index));
    }
    address_ = address_ + ByteCount{found->size.value * index};
    type_ = found->type;
    path_ += fmt::format("[{}]", index);
    return {};
  }

  Result<void> dereference(std::string_view sign) {
    if (!is_pointer(type_)) {
      const char* const hint = sign == "->" && is_aggregate(type_) ? "; use '.'" : "";
      return fail(ErrorCode::bad_type,
                  fmt::format("{} is not a pointer but {}{}", path_, name_of(type_), hint));
    }
    const auto target = pointee(type_);
    if (!target)
      return fail(
          ErrorCode::bad_type,
          fmt::format("{} is a void *: what it points to has no type; watch *ADDRESS:LENGTH",
                      path_));
    const auto pointer = memory_.read_object<std::uintptr_t>(address_);
    if (!pointer) {
      return fail(ErrorCode::unreadable_memory,
                  fmt::format("{} at {:#x} cannot be read", path_, address_.value()));
    }
    if (*pointer == 0)
      return fail(ErrorCode::unreadable_memory, fmt::format("{} is null now", path_));
    address_ = RemoteAddress(*pointer);
    type_ = *target;
    followed_pointer_ = true;
    if (!memory_.read_object<std::byte>(address_)) {
      return fail(
          ErrorCode::unreadable_memory,
          fmt::format("{} points to {:#x} now, where there is no memory", path_, address_.value()));
    }
    return {};
  }

  MemoryReader& memory_;
  RemoteAddress address_;
  DwarfType type_;
  std::string path_;  // what has been followed so far, as the user would write it
  bool followed_pointer_ = false;
};

Result<ResolvedObject> resolve_address(const ExplicitAddress& wanted, MemoryReader& memory) {
  ResolvedObject object;
  object.address = wanted.address;
  object.length = wanted.length.value_or(kDefaultLength);
  object.type.length = object.length;
  const bool is_number =
      object.length.value <= kDefaultLength.value && std::has_single_bit(object.length.value);
  if (is_number) object.type.kind = ValueKind::unsigned_integer;
  if (!memory.read_object<std::byte>(wanted.address)) {
    return fail(ErrorCode::unreadable_memory,
                fmt::format("there is no memory at {:#x} in this process", wanted.address.value()));
  }
  return object;
}

Result<ResolvedObject> resolve_steps(const Definition& definition, const NamedObject& object,
                                     MemoryReader& memory) {
  ResolvedObject resolved;
  resolved.module = definition.module_path;
  resolved.module_start = definition.module_start;
  resolved.address = definition.address;
  resolved.length = definition.size;
  resolved.type.length = definition.size;
  if (!definition.type) {
    if (!object.steps.empty()) {
      return fail(ErrorCode::bad_type,
                  fmt::format("{} has no debug information, so what {} is made of is unknown; "
                              "install it, or watch *{:#x}:LENGTH",
                              basename_of(definition.module_path), object.name,
                              definition.address.value()));
    }
    resolved.notes.push_back(fmt::format(
        "{} has no debug information for {}: its type is unknown, its size is the symbol's",
        basename_of(definition.module_path), object.name));
    return resolved;
  }
  Steps steps(memory, definition.address, *definition.type, object.name);
  for (const AccessStep& step : object.steps) {
    if (auto taken = steps.take(step); !taken) return std::unexpected(std::move(taken.error()));
  }
  resolved.address = steps.address();
  resolved.type = value_type_of(steps.type());
  resolved.length = resolved.type.length;
  resolved.followed_pointer = steps.followed_pointer();
  if (resolved.followed_pointer) {
    // Heap memory belongs to no module; it does not go when a library does.
    resolved.module.clear();
  }
  return resolved;
}

}  // namespace

Result<ResolvedObject> resolve_object(ProcessImage& image, MemoryReader& memory,
                                      const Expression& expression) {
  if (const auto* address = std::get_if<ExplicitAddress>(&expression))
    return resolve_address(*address, memory);
  const auto& object = std::get<NamedObject>(expression);
  const auto definition = Lookup(image, object).variable();
  if (!definition) return std::unexpected(definition.error());
  return resolve_steps(*definition, object, memory);
}

Result<ResolvedFunction> resolve_function(ProcessImage& image, const Expression& expression) {
  ResolvedFunction function;
  if (const auto* address = std::get_if<ExplicitAddress>(&expression)) {
    function.entry = address->address;
    function.name = fmt::format("{:#x}", address->address.value());
    return function;
  }
  const auto& object = std::get<NamedObject>(expression);
  if (!object.steps.empty())
    return fail(ErrorCode::bad_type,
                "-t x wants the name of a function, without members or indices");
  const auto definition = Lookup(image, object).function(function.inlined_copies);
  if (!definition && function.inlined_copies > 0) {
    return fail(
        ErrorCode::bad_type,
        fmt::format("{} is inlined in all of its {} callers and has no code of its own; watch a "
                    "function that calls it",
                    object.name, function.inlined_copies));
  }
  if (!definition) return std::unexpected(definition.error());
  function.entry = definition->address;
  function.name = object.name;
  function.module = definition->module_path;
  function.module_start = definition->module_start;
  return function;
}

}  // namespace trapline::symbols
