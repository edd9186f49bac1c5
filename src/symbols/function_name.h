// How a function is called, from its DWARF entry.
#pragma once

#include <elfutils/libdw.h>

#include <string>

namespace trapline::symbols {

// A linkage name is demangled; without one (C, and what a C++ compiler gives internal linkage) it
// is the scopes' and the function's names, without parameters. "" for a function without any name.
// `elf_symbol`, the name of the ELF symbol at the function's entry or nullptr, stands in for a
// linkage name that DWARF leaves out.
[[nodiscard]] std::string function_name(Dwarf_Die& function, const char* elf_symbol);

}  // namespace trapline::symbols
