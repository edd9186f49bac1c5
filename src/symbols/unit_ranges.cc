#include "symbols/unit_ranges.h"

namespace trapline::symbols {
namespace {

// A linker that drops a function leaves its ranges at 0 or 1 (binutils, gold), where they would
// cover the whole file.
constexpr Dwarf_Addr kHighestTombstone = 1;

}  // namespace

UnitRanges::UnitRanges(Dwarf* dwarf) {
  Dwarf_CU* cursor = nullptr;
  Dwarf_Die unit;
  // The split half is not asked for: that would open its file for every unit.
  while (dwarf_get_units(dwarf, cursor, &cursor, nullptr, nullptr, &unit, nullptr) == 0) {
    Dwarf_Addr base = 0;
    Dwarf_Addr start = 0;
    Dwarf_Addr end = 0;
    for (std::ptrdiff_t offset = 0;
         (offset = dwarf_ranges(&unit, offset, &base, &start, &end)) > 0;) {
      if (start > kHighestTombstone) ranges_.add(start, end, unit);
    }
  }
  ranges_.finish();
}

std::optional<Dwarf_Die> UnitRanges::unit_at(Dwarf_Addr address) const {
  const auto* const found = ranges_.find(address);
  if (found == nullptr) return std::nullopt;
  return found->value;
}

}  // namespace trapline::symbols
