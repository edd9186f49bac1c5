// ELF symbols by name: what is left of names in a stripped binary, and what the dynamic linker
// binds.
#pragma once

#include <elfutils/libdwfl.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "symbols/qualified_name.h"
#include "trapline/base/address.h"
#include "trapline/base/units.h"

namespace trapline::symbols {

enum class SymbolKind : std::uint8_t { object, function, thread_local_object };

struct ElfSymbol {
  std::string name;  // as in the table (mangled), without version
  QualifiedName readable;
  NameMatch match = NameMatch::none;
  SymbolKind kind = SymbolKind::object;
  RemoteAddress address;
  ByteCount size;
  bool is_local = false;
  bool is_chosen_at_run_time = false;  // an indirect function: the address is its chooser's
  bool is_copy = false;                // a specialised copy of a function ("f.constprop.0")
  std::string file;                    // of a local symbol, as STT_FILE tells; "" if it does not
};

// Symbols of the module that `wanted` names. Aliases at one address are one. What compilers append
// to a local object's name to keep it unique ("x.0", "x.lto_priv.0") does not count.
[[nodiscard]] std::vector<ElfSymbol> find_elf_symbols(Dwfl_Module* module,
                                                      const QualifiedName& wanted);

// Whether the module can hold a definition of `wanted`: false only if its symbol table is complete
// and no symbol's name contains the identifier.
[[nodiscard]] bool may_define(Dwfl_Module* module, const QualifiedName& wanted);
// Whether there is more than the dynamic symbol table: then every variable and function has one.
[[nodiscard]] bool has_local_symbols(Dwfl_Module* module);

// What the module offers to the dynamic linker under this (mangled) name.
[[nodiscard]] std::optional<RemoteAddress> find_exported(Dwfl_Module* module,
                                                         std::string_view name);

// Calls `visit` with each object's or function's demangled name, at most `limit` of them.
void for_each_elf_name(Dwfl_Module* module, SymbolKind kind, std::size_t& limit,
                       const std::function<void(std::string_view)>& visit);

// "ns::f(int)" for "_ZN2ns1fEi"; the name itself if it is not mangled.
[[nodiscard]] std::string demangle(const char* name);
// A variable's symbol as a person would write it: demangled, without version and serial number.
[[nodiscard]] std::string readable_variable(const char* name);

}  // namespace trapline::symbols
