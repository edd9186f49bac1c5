#include "symbols/elf_symbols.h"

#include <cxxabi.h>
#include <gelf.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "symbols/thumb.h"

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

template <typename Visitor>  // (const char* name, const GElf_Sym&, address)
void for_each_symbol(Dwfl_Module* module, Visitor visit) {
  const GElf_Addr thumb = thumb_bit(module);
  const int count = dwfl_module_getsymtab(module);
  for (int index = 0; index < count; ++index) {
    GElf_Sym symbol;
    GElf_Addr address = 0;
    const char* const name =
        dwfl_module_getsym_info(module, index, &symbol, &address, nullptr, nullptr, nullptr);
    if (GELF_ST_TYPE(symbol.st_info) == STT_FUNC) address &= ~thumb;
    if (name != nullptr && name[0] != '\0') visit(name, symbol, address);
  }
}

bool is_mangled(std::string_view name) {
  return name.starts_with("_Z");
}

// Tables, type information and guards are named after what they serve: "vtable for A".
bool is_artificial(std::string_view mangled) {
  return mangled.starts_with("_ZT") || mangled.starts_with("_ZG");
}

// Versioned symbols read "environ@@GLIBC_2.2.5" (the default) or "memcpy@GLIBC_2.2.5".
std::string_view without_version(std::string_view name) {
  return name.substr(0, name.find('@'));
}
bool is_old_version(std::string_view name) {
  const std::size_t at = name.find('@');
  return at != std::string_view::npos && !name.substr(at).starts_with("@@");
}

// "x.0", "x.lto_priv.0" -> "x".
std::string_view without_serial_number(std::string_view name) {
  const std::size_t last = name.find_last_not_of("0123456789");
  if (last == std::string_view::npos || last + 1 == name.size() || name[last] != '.') return name;
  const std::string_view base = name.substr(0, last);
  constexpr std::string_view kPrivatised = ".lto_priv";
  return base.ends_with(kPrivatised) ? base.substr(0, base.size() - kPrivatised.size()) : base;
}

// What a symbol must contain to be worth demangling; demangling is slow. "" if anything may match.
std::string_view distinctive_part(const QualifiedName& wanted) {
  for (auto component = wanted.rbegin(); component != wanted.rend(); ++component) {
    if (const auto identifier = identifier_of(component->name); !identifier.empty())
      return identifier;
  }
  return {};
}

// A compiler may add specialised copies of a function: "f.constprop.0", "f.isra.0". Code moved out
// of it ("f.cold") is not one: nobody calls that.
bool is_cold_part(std::string_view plain) {
  return plain.find(".cold") != std::string_view::npos;
}

QualifiedName readable_name(std::string_view plain, bool is_code) {
  const std::string own(is_code ? plain.substr(0, plain.find('.', 1))
                                : without_serial_number(plain));
  if (is_mangled(own)) return split_name(demangle(own.c_str()));
  // Clang writes a static variable of a C function as "function.variable".
  const std::size_t dot = own.find('.', 1);
  if (dot != std::string::npos) return {{own.substr(0, dot), false}, {own.substr(dot + 1), false}};
  return {{own, false}};
}

ElfSymbol describe(std::string_view plain, SymbolKind kind, const GElf_Sym& symbol,
                   GElf_Addr address) {
  ElfSymbol described;
  described.name = plain;
  described.kind = kind;
  described.address = RemoteAddress(address);
  described.size = ByteCount{symbol.st_size};
  described.is_local = GELF_ST_BIND(symbol.st_info) == STB_LOCAL;
  described.is_chosen_at_run_time = GELF_ST_TYPE(symbol.st_info) == STT_GNU_IFUNC;
  described.is_copy = kind == SymbolKind::function && plain.find('.', 1) != std::string_view::npos;
  return described;
}

bool is_local_definition(const GElf_Sym& symbol) {
  // A dynamic table has none.
  return GELF_ST_BIND(symbol.st_info) == STB_LOCAL && kind_of(symbol);
}

}  // namespace

std::string demangle(const char* name) {
  if (!is_mangled(name)) return name;
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
  return status == 0 ? std::string(text.get()) : std::string(name);
}

std::string readable_variable(const char* name) {
  const std::string own(without_serial_number(without_version(name)));
  // In full: "vtable for A" is no variable that could be asked for.
  return is_mangled(own) ? demangle(own.c_str()) : join_name(readable_name(own, false));
}

std::vector<ElfSymbol> find_elf_symbols(Dwfl_Module* module, const QualifiedName& wanted) {
  std::vector<ElfSymbol> found;
  const std::string_view part = distinctive_part(wanted);
  std::string file;
  for_each_symbol(module, [&](const char* text, const GElf_Sym& symbol, GElf_Addr address) {
    if (GELF_ST_TYPE(symbol.st_info) == STT_FILE) file = text;
    const auto kind = kind_of(symbol);
    const std::string_view plain = without_version(text);
    if (!kind || plain.find(part) == std::string_view::npos || is_artificial(plain) ||
        (kind == SymbolKind::function && is_cold_part(plain)))
      return;
    QualifiedName readable = readable_name(plain, kind == SymbolKind::function);
    NameMatch match = match_name(readable, wanted);
    if (match == NameMatch::none) return;
    if (is_old_version(text)) match = NameMatch::tail;
    const bool is_alias = std::ranges::any_of(found, [&](const ElfSymbol& other) {
      return other.address == RemoteAddress(address) && other.kind == *kind;
    });
    if (is_alias) return;
    ElfSymbol& described = found.emplace_back(describe(plain, *kind, symbol, address));
    described.readable = std::move(readable);
    described.match = match;
    if (described.is_local) described.file = file;
  });
  return found;
}

bool may_define(Dwfl_Module* module, const QualifiedName& wanted) {
  const std::string_view part = distinctive_part(wanted);
  bool is_complete = false;
  bool is_mentioned = false;
  for_each_symbol(module, [&](const char* text, const GElf_Sym& symbol, GElf_Addr) {
    is_complete = is_complete || is_local_definition(symbol);
    if (std::string_view(text).find(part) != std::string_view::npos) is_mentioned = true;
  });
  return is_mentioned || !is_complete;
}

bool has_local_symbols(Dwfl_Module* module) {
  bool found = false;
  for_each_symbol(module, [&](const char*, const GElf_Sym& symbol, GElf_Addr) {
    found = found || is_local_definition(symbol);
  });
  return found;
}

std::optional<RemoteAddress> find_exported(Dwfl_Module* module, std::string_view name) {
  GElf_Addr bias = 0;
  Elf* const elf = dwfl_module_getelf(module, &bias);
  if (elf == nullptr) return std::nullopt;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type != SHT_DYNSYM ||
        header.sh_entsize == 0)
      continue;
    Elf_Data* const data = elf_getdata(section, nullptr);
    const auto count = static_cast<int>(header.sh_size / header.sh_entsize);
    for (int index = 0; data != nullptr && index < count; ++index) {
      GElf_Sym symbol;
      if (gelf_getsym(data, index, &symbol) == nullptr || symbol.st_shndx == SHN_UNDEF) continue;
      const char* const own = elf_strptr(elf, header.sh_link, symbol.st_name);
      if (own != nullptr && own == name) return RemoteAddress(symbol.st_value + bias);
    }
  }
  return std::nullopt;
}

void for_each_elf_name(Dwfl_Module* module, SymbolKind kind, std::size_t& limit,
                       const std::function<void(std::string_view)>& visit) {
  for_each_symbol(module, [&](const char* text, const GElf_Sym& symbol, GElf_Addr) {
    const std::string_view plain = without_version(text);
    if (limit == 0 || kind_of(symbol) != kind || is_artificial(plain)) return;
    --limit;
    visit(join_name(readable_name(plain, kind == SymbolKind::function)));
  });
}

}  // namespace trapline::symbols
