// Small facts that several searches read from a DIE.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <optional>
#include <string>

namespace trapline::symbols {

// A unit's source file, absolute where DWARF has the directory, without "." and "..".
[[nodiscard]] std::string source_path(Dwarf_Die unit);
// The file that declares a DIE: a header, often; "" if unknown.
[[nodiscard]] std::string declaration_file(Dwarf_Die die);
// The mangled name, its own or its declaration's.
[[nodiscard]] std::optional<std::string> linkage_name(Dwarf_Die die);
// A number that an attribute holds, its own or its declaration's; a negative one modulo 2^64.
[[nodiscard]] std::optional<std::uint64_t> unsigned_attribute(Dwarf_Die& die, unsigned name);
// Where a function is entered. One in several pieces has no single extent; its first piece is the
// one with the entry.
[[nodiscard]] std::optional<Dwarf_Addr> entry_of(Dwarf_Die& function);

// Bounds against damaged DWARF: scopes nest by what people write.
inline constexpr int kMaxScopeDepth = 64;

}  // namespace trapline::symbols
