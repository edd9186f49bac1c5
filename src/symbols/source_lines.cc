#include "symbols/source_lines.h"

#include <dwarf.h>

namespace trapline::symbols {
namespace {

std::string absolute_path(Dwarf_Die& unit, const char* path) {
  if (path == nullptr) return {};
  if (path[0] == '/') return path;
  Dwarf_Attribute attribute;
  const char* directory = nullptr;
  if (dwarf_attr(&unit, DW_AT_comp_dir, &attribute) != nullptr)
    directory = dwarf_formstring(&attribute);
  return directory == nullptr ? std::string(path) : std::string(directory) + "/" + path;
}

}  // namespace

SourceLine line_at(Dwarf_Die& unit, Dwarf_Addr address) {
  SourceLine source;
  Dwarf_Line* const line = dwarf_getsrc_die(&unit, address);
  int number = 0;
  if (line == nullptr || dwarf_lineno(line, &number) != 0) return source;
  source.file = absolute_path(unit, dwarf_linesrc(line, nullptr, nullptr));
  source.line = static_cast<std::uint32_t>(number);
  return source;
}

SourceLine call_site(Dwarf_Die& unit, Dwarf_Die& inlined) {
  SourceLine source;
  Dwarf_Attribute attribute;
  Dwarf_Word file = 0;
  Dwarf_Word line = 0;
  Dwarf_Files* files = nullptr;
  Dwarf_Die numbering;  // in split DWARF the other half numbers the files
  std::size_t count = 0;
  if (dwarf_attr(&inlined, DW_AT_call_file, &attribute) != nullptr &&
      dwarf_formudata(&attribute, &file) == 0 &&
      dwarf_diecu(&inlined, &numbering, nullptr, nullptr) != nullptr &&
      dwarf_getsrcfiles(&numbering, &files, &count) == 0 && file < count) {
    source.file =
        absolute_path(unit, dwarf_filesrc(files, static_cast<std::size_t>(file), nullptr, nullptr));
  }
  if (dwarf_attr(&inlined, DW_AT_call_line, &attribute) != nullptr &&
      dwarf_formudata(&attribute, &line) == 0) {
    source.line = static_cast<std::uint32_t>(line);
  }
  return source;
}

}  // namespace trapline::symbols
