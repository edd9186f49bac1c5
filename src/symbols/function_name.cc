#include "symbols/function_name.h"

#include <dwarf.h>

#include <cstdlib>
#include <memory>
#include <span>
#include <string_view>

#include "symbols/elf_symbols.h"

namespace trapline::symbols {
namespace {

constexpr std::string_view kMangledPrefix = "_Z";

const char* string_attribute(Dwarf_Die& die, unsigned name) {
  Dwarf_Attribute attribute;
  return dwarf_formstring(dwarf_attr_integrate(&die, name, &attribute));
}

// A clone of a function (f.constprop.0) is still that function to a reader who has its source.
std::string without_clone_suffix(std::string_view symbol) {
  return std::string(symbol.substr(0, symbol.find('.')));
}

// Where the function was declared: there its scopes are.
Dwarf_Die declaration_of(Dwarf_Die die) {
  // A chain is short: concrete, abstract, declaration. The bound is for DWARF that refers to
  // itself.
  constexpr int kLongestChain = 8;
  for (int step = 0; step < kLongestChain; ++step) {
    Dwarf_Attribute attribute;
    if (dwarf_attr(&die, DW_AT_abstract_origin, &attribute) == nullptr &&
        dwarf_attr(&die, DW_AT_specification, &attribute) == nullptr)
      break;
    Dwarf_Die next;
    if (dwarf_formref_die(&attribute, &next) == nullptr) break;
    die = next;
  }
  return die;
}

bool is_naming_scope(int tag) {
  return tag == DW_TAG_namespace || tag == DW_TAG_class_type || tag == DW_TAG_structure_type ||
         tag == DW_TAG_union_type || tag == DW_TAG_module;
}

std::string scoped_name(Dwarf_Die& function, const char* name) {
  Dwarf_Die declaration = declaration_of(function);
  Dwarf_Die* scopes = nullptr;
  const int count = dwarf_getscopes_die(&declaration, &scopes);
  const std::unique_ptr<Dwarf_Die, decltype(&std::free)> owner(scopes, &std::free);
  std::string full = name;
  if (count <= 1) return full;
  // The first is the function itself; then outwards.
  for (Dwarf_Die& scope : std::span(scopes, static_cast<std::size_t>(count)).subspan(1)) {
    const int tag = dwarf_tag(&scope);
    if (tag == DW_TAG_subprogram) break;
    if (!is_naming_scope(tag)) continue;
    const char* const scope_name = dwarf_diename(&scope);
    if (scope_name != nullptr) {
      full.insert(0, "::").insert(0, scope_name);
    } else if (tag == DW_TAG_namespace) {
      full.insert(0, "(anonymous namespace)::");
    }
  }
  return full;
}

}  // namespace

std::string function_name(Dwarf_Die& function, const char* elf_symbol) {
  const char* linkage = string_attribute(function, DW_AT_linkage_name);
  if (linkage == nullptr) linkage = string_attribute(function, DW_AT_MIPS_linkage_name);
  if (linkage != nullptr) return demangle(linkage);
  if (elf_symbol != nullptr && std::string_view(elf_symbol).starts_with(kMangledPrefix))
    return demangle(without_clone_suffix(elf_symbol).c_str());
  const char* const name = string_attribute(function, DW_AT_name);
  return name == nullptr ? std::string() : scoped_name(function, name);
}

}  // namespace trapline::symbols
