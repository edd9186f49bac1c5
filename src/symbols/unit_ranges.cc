#include "symbols/unit_ranges.h"

#include <algorithm>

#include "symbols/unit_filter.h"

namespace trapline::symbols {

UnitRanges::UnitRanges(Dwarf* dwarf) : units_(all_units(dwarf)) {
  for (std::size_t index = 0; index < units_.size(); ++index) {
    Dwarf_Addr base = 0;
    Dwarf_Addr start = 0;
    Dwarf_Addr end = 0;
    for (std::ptrdiff_t offset = 0;
         (offset = dwarf_ranges(&units_[index], offset, &base, &start, &end)) > 0;) {
      if (start < end) ranges_.push_back({start, end, index});
    }
  }
  std::ranges::sort(ranges_, {}, &Range::start);
}

std::optional<Dwarf_Die> UnitRanges::unit_at(Dwarf_Addr address) const {
  const auto after = std::ranges::upper_bound(ranges_, address, {}, &Range::start);
  if (after == ranges_.begin()) return std::nullopt;
  const Range& range = *std::prev(after);
  if (address >= range.end) return std::nullopt;
  return units_[range.unit];
}

}  // namespace trapline::symbols
