// The code of one module: functions, lines and inlined frames by address. Every index is made when
// it is first needed.
#pragma once

#include <elfutils/libdwfl.h>

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "symbols/code_symbols.h"
#include "symbols/symbolizer.h"
#include "symbols/unit_functions.h"
#include "symbols/unit_ranges.h"

namespace trapline::symbols {

class ModuleCode {
 public:
  // Valid as long as `module` is.
  explicit ModuleCode(Dwfl_Module* module);

  [[nodiscard]] Dwfl_Module* module() const { return module_; }
  // The symbol whose code `address` is part of.
  [[nodiscard]] std::optional<PlacedSymbol> symbol_covering(Dwarf_Addr address) {
    return symbols().covering(address);
  }

  // The frames of `ip`, looked up by `lookup` (before a return address: inside the call). At least
  // one.
  [[nodiscard]] std::vector<Frame> frames_at(RemoteAddress ip, RemoteAddress lookup);

  // The piece of code around `address` in which instructions follow each other from `start`. From,
  // in this order, a sized ELF symbol, DWARF, call-frame information, a label.
  [[nodiscard]] std::optional<FunctionRange> function_at(RemoteAddress address);

 private:
  struct Located {
    Dwarf_Die unit;
    std::optional<FunctionPiece> piece;
  };

  [[nodiscard]] const CodeSymbols& symbols();
  [[nodiscard]] std::optional<Located> locate(Dwarf_Addr address);
  [[nodiscard]] const UnitFunctions& functions_of(Dwarf_Die& unit);
  [[nodiscard]] Frame outermost_frame(RemoteAddress ip, Dwarf_Addr lookup, Located* located);
  [[nodiscard]] std::optional<FunctionRange> unwound_function(Dwarf_Addr address);

  Dwfl_Module* module_;
  std::string basename_;
  Dwarf* dwarf_ = nullptr;
  Dwarf_Addr bias_ = 0;  // of the DWARF addresses
  bool dwarf_opened_ = false;
  std::optional<UnitRanges> units_;
  std::unordered_map<void*, UnitFunctions> functions_;  // by the unit's DIE
  std::optional<CodeSymbols> symbols_;
};

}  // namespace trapline::symbols
