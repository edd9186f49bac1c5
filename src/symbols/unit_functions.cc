#include "symbols/unit_functions.h"

#include <dwarf.h>

#include "symbols/die_facts.h"

namespace trapline::symbols {
namespace {

bool may_hold_functions(int tag) {
  switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
    case DW_TAG_subprogram:     // GNU C nested functions, methods of local classes
    case DW_TAG_lexical_block:  // the same, in a block
      return true;
    default:
      return false;
  }
}

// In split DWARF a skeleton has the ranges, and another file the functions.
Dwarf_Die unit_with_functions(Dwarf_Die unit) {
  std::uint8_t kind = 0;
  Dwarf_Die split;
  if (dwarf_cu_info(unit.cu, nullptr, &kind, nullptr, &split, nullptr, nullptr, nullptr) == 0 &&
      kind == DW_UT_skeleton && dwarf_tag(&split) == DW_TAG_compile_unit)
    return split;
  return unit;
}

}  // namespace

UnitFunctions::UnitFunctions(Dwarf_Die unit) {
  Dwarf_Die root = unit_with_functions(unit);
  collect(root, kMaxScopeDepth);
  pieces_.finish();
}

void UnitFunctions::collect(Dwarf_Die& parent, int depth) {
  Dwarf_Die child;
  if (depth == 0 || dwarf_child(&parent, &child) != 0) return;
  do {
    const int tag = dwarf_tag(&child);
    if (tag == DW_TAG_subprogram) {
      Dwarf_Addr base = 0;
      Dwarf_Addr start = 0;
      Dwarf_Addr end = 0;
      for (std::ptrdiff_t offset = 0;
           (offset = dwarf_ranges(&child, offset, &base, &start, &end)) > 0;) {
        pieces_.add(start, end, child);
      }
    }
    if (may_hold_functions(tag)) collect(child, depth - 1);
  } while (dwarf_siblingof(&child, &child) == 0);
}

std::optional<FunctionPiece> UnitFunctions::at(Dwarf_Addr address) const {
  const auto* const found = pieces_.find(address);
  if (found == nullptr) return std::nullopt;
  return FunctionPiece{found->value, found->start, found->end};
}

}  // namespace trapline::symbols
