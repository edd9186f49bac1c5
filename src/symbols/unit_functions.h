// The functions of one compilation unit by address: one walk of its DIEs, then a binary search.
#pragma once

#include <elfutils/libdw.h>

#include <optional>

#include "symbols/range_map.h"

namespace trapline::symbols {

struct FunctionPiece {
  Dwarf_Die function;
  // The contiguous piece that holds the address; a function with a cold part has several.
  Dwarf_Addr start = 0;
  Dwarf_Addr end = 0;
};

class UnitFunctions {
 public:
  explicit UnitFunctions(Dwarf_Die unit);

  // `address` as in the file.
  [[nodiscard]] std::optional<FunctionPiece> at(Dwarf_Addr address) const;

 private:
  void collect(Dwarf_Die& parent, int depth);

  RangeMap<Dwarf_Die> pieces_;
};

}  // namespace trapline::symbols
