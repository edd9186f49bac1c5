#include "symbols/unit_filter.h"

#include <dwarf.h>
#include <gelf.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <unordered_set>
#include <utility>

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

// A set of 32-bit words that is quick to say no: one bit per hash first. A short name is the tail
// of thousands of strings, and each word of the DWARF is asked for.
class WordSet {
 public:
  WordSet() : bits_(kBitCount / kWordBits) {}
  void insert(std::uint32_t word) {
    words_.insert(word);
    bits_[(word & kMask) / kWordBits] |= std::uint64_t{1} << (word % kWordBits);
  }
  [[nodiscard]] bool contains(std::uint32_t word) const {
    if ((bits_[(word & kMask) / kWordBits] >> (word % kWordBits) & 1) == 0) return false;
    return words_.contains(word);
  }
  [[nodiscard]] bool empty() const { return words_.empty(); }

 private:
  static constexpr std::uint32_t kBitCount = 1U << 19U;  // 64 KiB: stays in the second-level cache
  static constexpr std::uint32_t kMask = kBitCount - 1;
  static constexpr std::uint32_t kWordBits = 64;
  std::unordered_set<std::uint32_t> words_;
  std::vector<std::uint64_t> bits_;
};

// Unaligned: DIEs are packed.
template <typename Visitor>
void for_each_word_in(Bytes bytes, const WordSet& wanted, Visitor visit) {
  if (wanted.empty()) return;
  for (std::size_t offset = 0; offset + sizeof(std::uint32_t) <= bytes.size(); ++offset) {
    if (wanted.contains(word_at(bytes, offset))) visit(offset);
  }
}

// Link-time optimisation and dwz are what makes a DIE refer to another unit's.
bool refers_to_other_units(Dwarf_Die& unit) {
  const char* const name = dwarf_diename(&unit);
  return dwarf_tag(&unit) == DW_TAG_partial_unit || (name != nullptr && name == kMergedUnit);
}

struct UnitHeader {
  Dwarf_Off start = 0;
  Dwarf_Off end = 0;
  std::uint8_t offset_size = 0;
  bool is_split = false;  // its DIEs are in another file
};

template <typename Visitor>  // (Dwarf_Die unit, const UnitHeader&)
void for_each_unit(Dwarf* dwarf, Visitor visit) {
  UnitHeader header;
  std::size_t header_size = 0;
  while (dwarf_nextcu(dwarf, header.start, &header.end, &header_size, nullptr, nullptr,
                      &header.offset_size) == 0) {
    Dwarf_Die die;
    if (dwarf_offdie(dwarf, header.start + header_size, &die) != nullptr) {
      std::uint8_t kind = 0;
      Dwarf_Die split{};
      header.is_split =
          dwarf_cu_info(die.cu, nullptr, &kind, nullptr, &split, nullptr, nullptr, nullptr) == 0 &&
          kind == DW_UT_skeleton && dwarf_tag(&split) != DW_TAG_invalid;
      visit(header.is_split ? split : die, header);
    }
    header.start = header.end;
  }
}

}  // namespace

std::vector<Dwarf_Die> all_units(Dwarf* dwarf) {
  std::vector<Dwarf_Die> dies;
  for_each_unit(dwarf, [&](const Dwarf_Die& die, const UnitHeader&) { dies.push_back(die); });
  return dies;
}

UnitFilter::UnitFilter(Dwarf* dwarf) {
  list_units(dwarf);
  Elf* const elf = dwarf_getelf(dwarf);
  info_ = section_of(elf, ".debug_info");
  strings_ = section_of(elf, ".debug_str");
  string_offsets_ = section_of(elf, ".debug_str_offsets");
  raw_bytes_tell_ = raw_bytes_tell_ && !info_.empty() && dwarf_getalt(dwarf) == nullptr;
}

void UnitFilter::list_units(Dwarf* dwarf) {
  for_each_unit(dwarf, [&](Dwarf_Die die, const UnitHeader& header) {
    Dwarf_Attribute attribute;
    Dwarf_Word base = 0;
    if (dwarf_attr(&die, DW_AT_str_offsets_base, &attribute) != nullptr &&
        dwarf_formudata(&attribute, &base) == 0) {
      by_string_offsets_.emplace_back(base, units_.size());
    }
    has_cross_references_ = has_cross_references_ || refers_to_other_units(die);
    raw_bytes_tell_ =
        raw_bytes_tell_ && !header.is_split && header.offset_size == sizeof(std::uint32_t);
    units_.push_back({die, header.start, header.end});
  });
  std::ranges::sort(by_string_offsets_);
}

std::size_t UnitFilter::unit_of(Dwarf_Off offset) const {
  const auto after = std::ranges::upper_bound(units_, offset, {}, &Unit::start);
  return after == units_.begin() ? 0 : static_cast<std::size_t>(after - units_.begin()) - 1;
}

std::vector<UnitPlaces> UnitFilter::whole_units() const {
  return collect({}, std::vector<bool>(units_.size(), true));
}

std::vector<UnitPlaces> UnitFilter::collect(std::vector<Dwarf_Off> places,
                                            const std::vector<bool>& whole) const {
  std::ranges::sort(places);
  std::vector<UnitPlaces> found;
  auto place = places.begin();
  for (std::size_t index = 0; index < units_.size(); ++index) {
    const Unit& unit = units_[index];
    UnitPlaces here{unit.die, unit.start, unit.end, {}, whole[index]};
    for (; place != places.end() && *place < unit.end; ++place) {
      if (*place >= unit.start) here.places.push_back(*place);
    }
    if (here.everywhere || !here.places.empty()) found.push_back(std::move(here));
  }
  return found;
}

void UnitFilter::find_in_string_offsets(std::size_t offset, std::vector<bool>& whole) const {
  const auto after = std::ranges::upper_bound(by_string_offsets_, offset, {},
                                              &std::pair<Dwarf_Off, std::size_t>::first);
  if (after == by_string_offsets_.begin()) return;
  const Dwarf_Off base = std::prev(after)->first;
  for (auto entry = std::prev(after); entry->first == base; --entry) {
    whole[entry->second] = true;
    if (entry == by_string_offsets_.begin()) break;
  }
}

std::vector<UnitPlaces> UnitFilter::mentions_of(std::string_view name) const {
  if (!raw_bytes_tell_) return whole_units();
  // With the terminator: a linker may store a name as the tail of a longer one, so what stands
  // before does not matter.
  std::string terminated(name);
  terminated.push_back('\0');
  WordSet wanted;
  for_each_occurrence(strings_, terminated, [&](std::size_t offset) {
    wanted.insert(static_cast<std::uint32_t>(offset));
  });
  std::vector<Dwarf_Off> places;
  const auto add = [&](std::size_t offset) { places.push_back(offset); };
  for_each_word_in(info_, wanted, add);
  for_each_occurrence(info_, terminated, add);
  std::vector<bool> whole(units_.size(), false);
  for_each_word_in(string_offsets_, wanted,
                   [&](std::size_t offset) { find_in_string_offsets(offset, whole); });
  return collect(std::move(places), whole);
}

std::vector<UnitPlaces> UnitFilter::references_to(std::span<const Dwarf_Off> dies) const {
  // Where every unit is walked whole, those that refer have been seen.
  if (!raw_bytes_tell_) return {};
  std::vector<Dwarf_Off> places;
  std::vector<Dwarf_Off> sorted(dies.begin(), dies.end());
  std::ranges::sort(sorted);
  for (auto die = sorted.begin(); die != sorted.end();) {
    const Unit& unit = units_[unit_of(*die)];
    WordSet wanted;
    for (; die != sorted.end() && *die < unit.end; ++die)
      wanted.insert(static_cast<std::uint32_t>(*die - unit.start));
    for_each_word_in(info_.substr(static_cast<std::size_t>(unit.start),
                                  static_cast<std::size_t>(unit.end - unit.start)),
                     wanted, [&](std::size_t offset) { places.push_back(unit.start + offset); });
  }
  if (has_cross_references_) {
    WordSet wanted;
    for (const Dwarf_Off die : sorted) wanted.insert(static_cast<std::uint32_t>(die));
    for_each_word_in(info_, wanted, [&](std::size_t offset) { places.push_back(offset); });
  }
  return collect(std::move(places), std::vector<bool>(units_.size(), false));
}

}  // namespace trapline::symbols
