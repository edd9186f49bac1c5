// ELF symbols by name: what is left of names in a stripped binary, and what the dynamic linker
// binds.
#pragma once

#include <elfutils/libdwfl.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trapline/base/address.h"
#include "trapline/base/units.h"

namespace trapline::symbols {

enum class SymbolKind : std::uint8_t { object, function, thread_local_object };

struct ElfSymbol {
  std::string name;  // as in the table (mangled)
  SymbolKind kind = SymbolKind::object;
  RemoteAddress address;
  ByteCount size;
  bool is_local = false;
};

// Symbols of the module whose name, or demangled name, is `name`. Aliases at one address are one.
[[nodiscard]] std::vector<ElfSymbol> find_elf_symbols(Dwfl_Module* module, std::string_view name);

// Calls `visit` with each object's or function's demangled name.
void for_each_elf_name(Dwfl_Module* module, SymbolKind kind,
                       const std::function<void(std::string_view)>& visit);

// "ns::f(int)" for "_ZN2ns1fEi"; the name itself if it is not mangled.
[[nodiscard]] std::string demangle(const char* name);

}  // namespace trapline::symbols
