// From a name to the one thing it means in a process: which module, which file, which address.
//
// The program first, then its libraries in the dynamic linker's order. A global that the program
// has a copy of (copy relocation) is the program's. Where several things have the name, the error
// lists them as one could type them.
#pragma once

#include <elfutils/libdwfl.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/failure.h"
#include "symbols/dwarf_types.h"
#include "symbols/expression.h"
#include "symbols/process_image.h"
#include "trapline/base/address.h"

namespace trapline::symbols {

// One place where a name is defined.
struct Definition {
  std::string name;  // qualified; of a C++ function with its parameters
  std::string file;  // absolute, as DWARF has it; "" if unknown
  std::string module_path;
  RemoteAddress module_start;
  RemoteAddress address;
  std::optional<DwarfType> type;   // none: only an ELF symbol
  ByteCount size;                  // 0 if unknown
  std::string problem;             // why it cannot be watched: a sentence's end
  std::size_t inlined_copies = 0;  // of a function
  std::vector<std::string> notes;
  std::string linkage_name;  // of what the dynamic linker may bind elsewhere; "" for a static
};

// Errors: unknown_name, ambiguous_name, bad_type.
[[nodiscard]] Result<Definition> find_variable(ProcessImage& image, const NamedObject& object);
[[nodiscard]] Result<Definition> find_function(ProcessImage& image, const NamedObject& object);

// The complete type that a declaration announces, wherever in the process it is told.
[[nodiscard]] std::optional<DwarfType> complete_type(ProcessImage& image, const DwarfType& type);

}  // namespace trapline::symbols
