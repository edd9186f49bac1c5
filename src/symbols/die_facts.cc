#include "symbols/die_facts.h"

#include <dwarf.h>

#include <filesystem>

namespace trapline::symbols {

std::string source_path(Dwarf_Die unit) {
  const char* const name = dwarf_diename(&unit);
  if (name == nullptr) return {};
  std::filesystem::path path(name);
  Dwarf_Attribute attribute;
  if (path.is_relative() && dwarf_attr(&unit, DW_AT_comp_dir, &attribute) != nullptr) {
    const char* const directory = dwarf_formstring(&attribute);
    if (directory != nullptr) path = std::filesystem::path(directory) / path;
  }
  return path.lexically_normal().string();
}

std::string declaration_file(Dwarf_Die die) {
  // Not dwarf_decl_file: it asserts that the unit has a table of files, which type units need not.
  Dwarf_Attribute attribute;
  Dwarf_Word index = 0;
  Dwarf_Die unit;
  Dwarf_Files* files = nullptr;
  std::size_t count = 0;
  if (dwarf_attr_integrate(&die, DW_AT_decl_file, &attribute) == nullptr ||
      dwarf_formudata(&attribute, &index) != 0 ||
      dwarf_cu_die(attribute.cu, &unit, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr) ==
          nullptr ||
      dwarf_getsrcfiles(&unit, &files, &count) != 0 || index >= count) {
    return {};
  }
  const char* const file = dwarf_filesrc(files, static_cast<std::size_t>(index), nullptr, nullptr);
  return file == nullptr ? std::string() : std::filesystem::path(file).lexically_normal().string();
}

std::optional<std::string> linkage_name(Dwarf_Die die) {
  for (const unsigned name : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name}) {
    Dwarf_Attribute attribute;
    if (dwarf_attr_integrate(&die, name, &attribute) == nullptr) continue;
    if (const char* const text = dwarf_formstring(&attribute)) return text;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> unsigned_attribute(Dwarf_Die& die, unsigned name) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  if (dwarf_attr_integrate(&die, name, &attribute) == nullptr ||
      dwarf_formudata(&attribute, &value) != 0) {
    return std::nullopt;
  }
  return value;
}

std::optional<Dwarf_Addr> entry_of(Dwarf_Die& function) {
  Dwarf_Addr entry = 0;
  if (dwarf_entrypc(&function, &entry) == 0) return entry;
  Dwarf_Addr base = 0;
  Dwarf_Addr end = 0;
  if (dwarf_ranges(&function, 0, &base, &entry, &end) > 0) return entry;
  return std::nullopt;
}

}  // namespace trapline::symbols
