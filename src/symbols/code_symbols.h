// A module's ELF symbols by address: what a binary without DWARF still tells.
#pragma once

#include <elfutils/libdwfl.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "symbols/range_map.h"

namespace trapline::symbols {

struct PlacedSymbol {
  const char* name = nullptr;  // as in the table (mangled); lives as long as the module
  Dwarf_Addr start = 0;        // in the process
  Dwarf_Addr end = 0;
};

// Those that name code.
class CodeSymbols {
 public:
  // Reads the module's table once: 0.1 us per symbol.
  explicit CodeSymbols(Dwfl_Module* module);

  // The symbol whose size covers `address`. Of several with the same extent a global one, then one
  // with fewer leading underscores.
  [[nodiscard]] std::optional<PlacedSymbol> covering(Dwarf_Addr address) const;
  // The nearest label without a size (assembly by hand), reaching to the next symbol or the end of
  // its section.
  [[nodiscard]] std::optional<PlacedSymbol> label_before(Dwarf_Addr address) const;

 private:
  Dwfl_Module* module_;
  RangeMap<int> sized_;  // to the number in the module's table
  RangeMap<int> labels_;
};

// Those that name variables, tables of virtual functions among them; not thread-local ones.
class DataSymbols {
 public:
  // Reads the module's table once.
  explicit DataSymbols(Dwfl_Module* module);

  // As CodeSymbols::covering().
  [[nodiscard]] std::optional<PlacedSymbol> covering(Dwarf_Addr address) const;

 private:
  Dwfl_Module* module_;
  RangeMap<int> sized_;
};

}  // namespace trapline::symbols
