// Which compilation unit holds the code at an address: an index over each unit's own ranges.
//
// .debug_aranges is not used: clang does not write it, and elfutils then finds no lines at all.
#pragma once

#include <elfutils/libdw.h>

#include <optional>
#include <vector>

namespace trapline::symbols {

class UnitRanges {
 public:
  explicit UnitRanges(Dwarf* dwarf);

  // `address` as in the file (without load bias).
  [[nodiscard]] std::optional<Dwarf_Die> unit_at(Dwarf_Addr address) const;

 private:
  struct Range {
    Dwarf_Addr start;
    Dwarf_Addr end;
    std::size_t unit;
  };
  std::vector<Dwarf_Die> units_;
  std::vector<Range> ranges_;  // by start
};

}  // namespace trapline::symbols
