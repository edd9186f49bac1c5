// Qualified C++ names as people type them against names as DWARF and ELF have them. Pure.
//
// A person writes "count" or "Vec<int,4>::count" for what a demangler calls
// "app::Vec<int, 4>::count"; spaces, anonymous and inline namespaces, parameters and template
// arguments may be left out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trapline::symbols {

// What identifiers are made of; any byte of a character beyond ASCII may be part of one.
[[nodiscard]] constexpr bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}
[[nodiscard]] constexpr bool is_name_part(char c) {
  return is_name_start(c) || (c >= '0' && c <= '9');
}

inline constexpr std::string_view kAnonymousNamespace = "(anonymous namespace)";

// One component of a qualified name.
struct ScopeName {
  std::string name;
  bool is_transparent = false;  // an anonymous or inline namespace: may be left out
};

// Outermost first. "ns::f(int)::x" -> {"ns", "f(int)", "x"}.
using QualifiedName = std::vector<ScopeName>;

// Takes a demangled name too; a function template's return type in front is dropped.
[[nodiscard]] QualifiedName split_name(std::string_view text);
[[nodiscard]] std::string join_name(const QualifiedName& name);

// tail: `wanted` is what `have` ends with, "Class::x" of "ns::Class::x".
enum class NameMatch : std::uint8_t { none, tail, exact };
[[nodiscard]] NameMatch match_name(const QualifiedName& have, const QualifiedName& wanted);

// "f(int) const" -> "f"; "operator()(int)" -> "operator()".
[[nodiscard]] std::string_view without_parameters(std::string_view component);
// The identifier alone: "Vec<int, 4>" -> "Vec", "f<int>(int)" -> "f"; "" for an operator.
[[nodiscard]] std::string_view identifier_of(std::string_view component);

}  // namespace trapline::symbols
