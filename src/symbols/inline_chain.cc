#include "symbols/inline_chain.h"

#include <dwarf.h>

#include "symbols/elf_symbols.h"

namespace trapline::symbols {
namespace {

constexpr int kMaxDepth = 128;

bool may_hold_functions(int tag) {
  switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
      return true;
    default:
      return false;
  }
}

// Extends the chain with what lies below `parent` at `address`; true once the innermost was found.
bool descend(Dwarf_Die& parent, Dwarf_Addr address, std::vector<Dwarf_Die>& chain, int depth) {
  Dwarf_Die child;
  if (depth == 0 || dwarf_child(&parent, &child) != 0) return false;
  do {
    const int tag = dwarf_tag(&child);
    const bool is_code =
        tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block;
    if (is_code && dwarf_haspc(&child, address) == 1) {
      if (tag != DW_TAG_lexical_block) chain.push_back(child);
      descend(child, address, chain, depth - 1);
      return true;
    }
    if (chain.empty() && may_hold_functions(tag) && descend(child, address, chain, depth - 1))
      return true;
  } while (dwarf_siblingof(&child, &child) == 0);
  return false;
}

}  // namespace

std::vector<Dwarf_Die> inline_chain(Dwarf_Die& unit, Dwarf_Addr address) {
  std::vector<Dwarf_Die> chain;
  descend(unit, address, chain, kMaxDepth);
  return chain;
}

std::string function_name(Dwarf_Die& function) {
  Dwarf_Attribute attribute;
  for (const unsigned name : {static_cast<unsigned>(DW_AT_linkage_name),
                              static_cast<unsigned>(DW_AT_MIPS_linkage_name)}) {
    const char* linkage = nullptr;
    if (dwarf_attr_integrate(&function, name, &attribute) != nullptr)
      linkage = dwarf_formstring(&attribute);
    if (linkage != nullptr) return demangle(linkage);
  }
  const char* const plain = dwarf_diename(&function);
  return plain == nullptr ? std::string() : plain;
}

}  // namespace trapline::symbols
