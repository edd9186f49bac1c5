// Where in a module's DWARF a name can occur, without walking it.
//
// Binaries have hundreds of megabytes of DWARF and usually no index of names. The places that can
// hold a name are those whose bytes refer to it: the name's offsets in .debug_str are looked for in
// .debug_info (and, for the indexed forms, in .debug_str_offsets), the name itself where it is
// stored inline (DWARF 5, 7.5.5 "string"). That is one linear pass over raw bytes. What it finds is
// a superset; where the pass would not be sure (a supplementary file, 64-bit DWARF, split units)
// every unit is named whole.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace trapline::symbols {

// What GCC names the units that link-time optimisation makes.
inline constexpr std::string_view kMergedUnit = "<artificial>";

// All compilation units.
[[nodiscard]] std::vector<Dwarf_Die> all_units(Dwarf* dwarf);

// A unit that can hold what is looked for, and where in it.
struct UnitPlaces {
  Dwarf_Die unit{};
  Dwarf_Off start = 0;  // of its header in .debug_info
  Dwarf_Off end = 0;
  std::vector<Dwarf_Off> places;  // ascending offsets in .debug_info
  bool everywhere = false;        // the places are not known
};

class UnitFilter {
 public:
  explicit UnitFilter(Dwarf* dwarf);

  [[nodiscard]] std::vector<UnitPlaces> mentions_of(std::string_view name) const;
  // Where DIEs that refer to one of these (offsets in .debug_info) can be: by DW_FORM_ref4 in the
  // same unit, by DW_FORM_ref_addr in others where link-time optimisation made such.
  [[nodiscard]] std::vector<UnitPlaces> references_to(std::span<const Dwarf_Off> dies) const;

 private:
  struct Unit {
    Dwarf_Die die{};
    Dwarf_Off start = 0;
    Dwarf_Off end = 0;
  };

  void list_units(Dwarf* dwarf);
  [[nodiscard]] std::size_t unit_of(Dwarf_Off offset) const;
  [[nodiscard]] std::vector<UnitPlaces> whole_units() const;
  [[nodiscard]] std::vector<UnitPlaces> collect(std::vector<Dwarf_Off> places,
                                                const std::vector<bool>& whole) const;
  void find_in_string_offsets(std::size_t offset, std::vector<bool>& whole) const;

  std::vector<Unit> units_;  // ascending
  // By base, ascending. A table may serve several units.
  std::vector<std::pair<Dwarf_Off, std::size_t>> by_string_offsets_;
  bool raw_bytes_tell_ = true;         // 32-bit DWARF, all in this file
  bool has_cross_references_ = false;  // link-time optimisation, or units shared by dwz
  std::string_view info_;
  std::string_view strings_;
  std::string_view string_offsets_;
};

}  // namespace trapline::symbols
