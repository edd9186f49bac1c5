#include "symbols/unit_filter.h"

#include <dwarf.h>
#include <gelf.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>

namespace trapline::symbols {
namespace {

using Bytes = std::string_view;

// A section's contents; "" if it is not there. libdw has decompressed what it uses.
Bytes section_of(Elf* elf, std::string_view wanted) {
  std::size_t names = 0;
  if (elf_getshdrstrndx(elf, &names) != 0) return {};
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    const char* const name = elf_strptr(elf, names, header.sh_name);
    if (name == nullptr || name != wanted) continue;
    // Still compressed: nobody has looked at it, so the bytes mean nothing.
    if ((header.sh_flags & SHF_COMPRESSED) != 0 && elf_compress(section, 0, 0) < 0) return {};
    const Elf_Data* const data = elf_getdata(section, nullptr);
    if (data == nullptr || data->d_buf == nullptr) return {};
    return {static_cast<const char*>(data->d_buf), data->d_size};
  }
  return {};
}

// Where `pattern` occurs in `bytes`.
template <typename Visitor>
void for_each_occurrence(Bytes bytes, Bytes pattern, Visitor visit) {
  const char* position = bytes.data();
  const char* const end = position + bytes.size();
  while (position != nullptr && position < end) {
    position = static_cast<const char*>(::memmem(position, static_cast<std::size_t>(end - position),
                                                 pattern.data(), pattern.size()));
    if (position == nullptr) return;
    visit(static_cast<std::size_t>(position - bytes.data()));
    ++position;
  }
}

std::uint32_t word_at(Bytes bytes, std::size_t offset) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes.data() + offset, sizeof word);
  return word;
}

// A set of 32-bit words that is quick to say no: one bit per low half first.
class WordSet {
 public:
  void insert(std::uint32_t word) {
    words_.insert(word);
    low_halves_[(word & kLowMask) / kBits] |= std::uint64_t{1} << (word % kBits);
  }
  [[nodiscard]] bool contains(std::uint32_t word) const {
    if ((low_halves_[(word & kLowMask) / kBits] >> (word % kBits) & 1) == 0) return false;
    return words_.contains(word);
  }
  [[nodiscard]] bool empty() const { return words_.empty(); }

 private:
  static constexpr std::uint32_t kLowMask = 0xffff;
  static constexpr std::uint32_t kBits = 64;
  std::unordered_set<std::uint32_t> words_;
  std::array<std::uint64_t, (kLowMask + 1) / kBits> low_halves_{};
};

// Unaligned: DIEs are packed.
template <typename Visitor>
void for_each_word_in(Bytes bytes, const WordSet& wanted, Visitor visit) {
  if (wanted.empty()) return;
  for (std::size_t offset = 0; offset + sizeof(std::uint32_t) <= bytes.size(); ++offset) {
    if (wanted.contains(word_at(bytes, offset))) visit(offset);
  }
}

struct Unit {
  Dwarf_Off start = 0;  // of its header in .debug_info
  Dwarf_Die die{};
  std::optional<Dwarf_Off> string_offsets;  // DW_AT_str_offsets_base
};

struct Units {
  std::vector<Unit> list;      // ascending
  bool raw_bytes_tell = true;  // 32-bit DWARF, all in this file
};

Units list_units(Dwarf* dwarf) {
  Units units;
  Dwarf_Off offset = 0;
  Dwarf_Off next = 0;
  std::size_t header_size = 0;
  std::uint8_t offset_size = 0;
  while (dwarf_nextcu(dwarf, offset, &next, &header_size, nullptr, nullptr, &offset_size) == 0) {
    Unit unit;
    unit.start = offset;
    if (dwarf_offdie(dwarf, offset + header_size, &unit.die) != nullptr) {
      std::uint8_t kind = 0;
      Dwarf_Die split{};
      if (dwarf_cu_info(unit.die.cu, nullptr, &kind, nullptr, &split, nullptr, nullptr, nullptr) ==
              0 &&
          kind == DW_UT_skeleton && dwarf_tag(&split) != DW_TAG_invalid) {
        units.raw_bytes_tell = false;
        unit.die = split;
      }
      Dwarf_Attribute attribute;
      Dwarf_Word base = 0;
      if (dwarf_attr(&unit.die, DW_AT_str_offsets_base, &attribute) != nullptr &&
          dwarf_formudata(&attribute, &base) == 0) {
        unit.string_offsets = base;
      }
      units.list.push_back(unit);
    }
    units.raw_bytes_tell = units.raw_bytes_tell && offset_size == sizeof(std::uint32_t);
    offset = next;
  }
  units.raw_bytes_tell = units.raw_bytes_tell && dwarf_getalt(dwarf) == nullptr;
  return units;
}

// Collects units by where a mention of the name was found.
class UnitCollector {
 public:
  explicit UnitCollector(const std::vector<Unit>& units) : units_(units) {
    for (std::size_t index = 0; index < units.size(); ++index) {
      if (units[index].string_offsets)
        by_string_offsets_.emplace_back(*units[index].string_offsets, index);
    }
    std::ranges::sort(by_string_offsets_);
  }

  void found_in_info(std::size_t offset) {
    const auto after = std::ranges::upper_bound(units_, offset, {}, &Unit::start);
    if (after != units_.begin())
      chosen_.insert(static_cast<std::size_t>(after - units_.begin()) - 1);
  }

  // A table of string offsets may serve several units with the same base.
  void found_in_string_offsets(std::size_t offset) {
    const auto after = std::ranges::upper_bound(by_string_offsets_, offset, {},
                                                &std::pair<Dwarf_Off, std::size_t>::first);
    if (after == by_string_offsets_.begin()) return;
    const Dwarf_Off base = std::prev(after)->first;
    for (auto entry = std::prev(after);; --entry) {
      if (entry->first != base) break;
      chosen_.insert(entry->second);
      if (entry == by_string_offsets_.begin()) break;
    }
  }

  [[nodiscard]] std::vector<Dwarf_Die> take() const {
    std::vector<Dwarf_Die> dies;
    for (const std::size_t index : chosen_) dies.push_back(units_[index].die);
    return dies;
  }

 private:
  const std::vector<Unit>& units_;
  std::vector<std::pair<Dwarf_Off, std::size_t>> by_string_offsets_;
  std::set<std::size_t> chosen_;
};

std::vector<Dwarf_Die> dies_of(const Units& units) {
  std::vector<Dwarf_Die> dies;
  for (const Unit& unit : units.list) dies.push_back(unit.die);
  return dies;
}

}  // namespace

std::vector<Dwarf_Die> all_units(Dwarf* dwarf) {
  return dies_of(list_units(dwarf));
}

std::vector<Dwarf_Die> units_mentioning(Dwarf* dwarf, std::string_view name) {
  const Units units = list_units(dwarf);
  Elf* const elf = dwarf_getelf(dwarf);
  const Bytes info = section_of(elf, ".debug_info");
  if (!units.raw_bytes_tell || info.empty()) return dies_of(units);

  // With the terminator: a linker may store a name as the tail of a longer one, so what stands
  // before does not matter.
  std::string terminated(name);
  terminated.push_back('\0');
  WordSet string_offsets;
  for_each_occurrence(section_of(elf, ".debug_str"), terminated, [&](std::size_t offset) {
    string_offsets.insert(static_cast<std::uint32_t>(offset));
  });
  UnitCollector collector(units.list);
  for_each_word_in(info, string_offsets,
                   [&](std::size_t offset) { collector.found_in_info(offset); });
  for_each_occurrence(info, terminated,
                      [&](std::size_t offset) { collector.found_in_info(offset); });
  for_each_word_in(section_of(elf, ".debug_str_offsets"), string_offsets,
                   [&](std::size_t offset) { collector.found_in_string_offsets(offset); });
  return collector.take();
}

}  // namespace trapline::symbols
