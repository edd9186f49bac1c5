// Which compilation unit holds the code at an address: an index over each unit's own ranges.
//
// .debug_aranges is not used: clang does not write it, and elfutils then finds no lines at all.
#pragma once

#include <elfutils/libdw.h>

#include <optional>

#include "symbols/range_map.h"

namespace trapline::symbols {

class UnitRanges {
 public:
  explicit UnitRanges(Dwarf* dwarf);

  // `address` as in the file (without load bias). Code that was compiled apart from its skeleton
  // (split DWARF) is found by the skeleton.
  [[nodiscard]] std::optional<Dwarf_Die> unit_at(Dwarf_Addr address) const;

 private:
  RangeMap<Dwarf_Die> ranges_;
};

}  // namespace trapline::symbols
