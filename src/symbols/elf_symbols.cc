#include "symbols/elf_symbols.h"

#include <cxxabi.h>
#include <gelf.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace trapline::symbols {
namespace {

std::optional<SymbolKind> kind_of(const GElf_Sym& symbol) {
  if (symbol.st_shndx == SHN_UNDEF) return std::nullopt;
  switch (GELF_ST_TYPE(symbol.st_info)) {
    case STT_OBJECT:
    case STT_COMMON:
      return SymbolKind::object;
    case STT_FUNC:
    case STT_GNU_IFUNC:
      return SymbolKind::function;
    case STT_TLS:
      return SymbolKind::thread_local_object;
    default:
      return std::nullopt;
  }
}

template <typename Visitor>  // (const char* name, SymbolKind, const GElf_Sym&, address)
void for_each_symbol(Dwfl_Module* module, Visitor visit) {
  const int count = dwfl_module_getsymtab(module);
  for (int index = 0; index < count; ++index) {
    GElf_Sym symbol;
    GElf_Addr address = 0;
    const char* const name =
        dwfl_module_getsym_info(module, index, &symbol, &address, nullptr, nullptr, nullptr);
    if (name == nullptr || name[0] == '\0') continue;
    if (const auto kind = kind_of(symbol)) visit(name, *kind, symbol, address);
  }
}

bool is_mangled(std::string_view name) {
  return name.starts_with("_Z");
}

// Versioned symbols of a dynamic table read "environ@@GLIBC_2.2.5".
std::string_view without_version(std::string_view name) {
  return name.substr(0, name.find('@'));
}

}  // namespace

std::string demangle(const char* name) {
  if (!is_mangled(name)) return name;
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
  return status == 0 ? std::string(text.get()) : std::string(name);
}

std::vector<ElfSymbol> find_elf_symbols(Dwfl_Module* module, std::string_view name) {
  std::vector<ElfSymbol> found;
  for_each_symbol(
      module, [&](const char* text, SymbolKind kind, const GElf_Sym& symbol, GElf_Addr address) {
        const std::string_view plain = without_version(text);
        // Demangling is slow; a mangled name holds the components of the plain one.
        const std::size_t last = name.rfind("::");
        const std::string_view component =
            last == std::string_view::npos ? name : name.substr(last + 2);
        const std::string_view identifier = component.substr(0, component.find_first_of("(<"));
        const bool is_match =
            plain == name ||
            (is_mangled(plain) && plain.find(identifier) != std::string_view::npos && [&] {
              const std::string readable = demangle(text);
              return readable == name ||
                     std::string_view(readable).substr(0, readable.find('(')) == name;
            }());
        if (!is_match) return;
        const bool is_alias = std::ranges::any_of(found, [&](const ElfSymbol& other) {
          return other.address == RemoteAddress(address) && other.kind == kind;
        });
        if (is_alias) return;
        found.push_back({text, kind, RemoteAddress(address), ByteCount{symbol.st_size},
                         GELF_ST_BIND(symbol.st_info) == STB_LOCAL});
      });
  return found;
}

void for_each_elf_name(Dwfl_Module* module, SymbolKind kind,
                       const std::function<void(std::string_view)>& visit) {
  for_each_symbol(module, [&](const char* text, SymbolKind found, const GElf_Sym&, GElf_Addr) {
    if (found == kind) visit(demangle(text));
  });
}

}  // namespace trapline::symbols
