#include "symbols/code_symbols.h"

#include <gelf.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "symbols/thumb.h"

namespace trapline::symbols {
namespace {

struct RankedSymbol {
  Dwarf_Addr start = 0;
  Dwarf_Addr size = 0;
  Dwarf_Addr section_end = 0;
  // Higher is better: RangeMap finds the last added of equal ranges.
  int binding_rank = 0;
  std::ptrdiff_t underscores = 0;  // negative count
  int number = 0;

  [[nodiscard]] auto rank() const { return std::tuple(start, binding_rank, underscores, -number); }
};

int binding_rank(const GElf_Sym& symbol) {
  switch (GELF_ST_BIND(symbol.st_info)) {
    case STB_GLOBAL:
    case STB_GNU_UNIQUE:
      return 2;
    case STB_WEAK:
      return 1;
    default:
      return 0;
  }
}

bool names_code(const GElf_Sym& symbol) {
  const auto type = GELF_ST_TYPE(symbol.st_info);
  return type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
}

bool names_data(const GElf_Sym& symbol) {
  const auto type = GELF_ST_TYPE(symbol.st_info);
  return (type == STT_OBJECT || type == STT_COMMON) && symbol.st_size != 0;
}

// The sections of the files that a module's symbols come from (its own, its debug file's).
class Sections {
 public:
  // The end of the section `index`, as the process sees it; nullopt if it has not all of `flags`.
  std::optional<Dwarf_Addr> end_of(Elf* elf, GElf_Word index, Dwarf_Addr bias, GElf_Xword flags) {
    const auto key = std::pair(elf, index);
    if (const auto known = ends_.find(key); known != ends_.end()) return known->second;
    GElf_Shdr header;
    std::optional<Dwarf_Addr> end;
    if (gelf_getshdr(elf_getscn(elf, index), &header) != nullptr &&
        (header.sh_flags & flags) == flags) {
      end = header.sh_addr + header.sh_size + bias;
    }
    return ends_.emplace(key, end).first->second;
  }

 private:
  std::map<std::pair<Elf*, GElf_Word>, std::optional<Dwarf_Addr>> ends_;
};

// Those that `is_wanted`, in sections with all of `flags`; by address, the better ones last.
std::vector<RankedSymbol> symbols_of(Dwfl_Module* module, bool (*is_wanted)(const GElf_Sym&),
                                     GElf_Xword flags) {
  std::vector<RankedSymbol> candidates;
  Sections sections;
  const GElf_Addr thumb = thumb_bit(module);
  const int count = dwfl_module_getsymtab(module);
  for (int number = 0; number < count; ++number) {
    GElf_Sym symbol;
    GElf_Addr address = 0;
    GElf_Word section = 0;
    Elf* elf = nullptr;
    Dwarf_Addr bias = 0;
    const char* const name =
        dwfl_module_getsym_info(module, number, &symbol, &address, &section, &elf, &bias);
    if (name == nullptr || name[0] == '\0' || section == SHN_UNDEF || section == SHN_ABS) continue;
    if (!is_wanted(symbol) || is_mapping_symbol(name)) continue;
    if (GELF_ST_TYPE(symbol.st_info) == STT_FUNC) address &= ~thumb;
    const auto section_end = sections.end_of(elf, section, bias, flags);
    if (!section_end) continue;
    const auto underscores =
        std::ranges::find_if(std::string_view(name), [](char c) { return c != '_'; }) -
        std::string_view(name).begin();
    candidates.push_back(
        {address, symbol.st_size, *section_end, binding_rank(symbol), -underscores, number});
  }
  std::ranges::sort(candidates, {}, &RankedSymbol::rank);
  return candidates;
}

std::optional<PlacedSymbol> find_in(Dwfl_Module* module, const RangeMap<int>& symbols,
                                    Dwarf_Addr address) {
  const auto* const found = symbols.find(address);
  if (found == nullptr) return std::nullopt;
  GElf_Sym unused;
  GElf_Addr start = 0;
  const char* const name =
      dwfl_module_getsym_info(module, found->value, &unused, &start, nullptr, nullptr, nullptr);
  return PlacedSymbol{name, found->start, found->end};
}

}  // namespace

CodeSymbols::CodeSymbols(Dwfl_Module* module) : module_(module) {
  const std::vector<RankedSymbol> candidates = symbols_of(module, names_code, SHF_EXECINSTR);
  for (std::size_t index = 0; index < candidates.size(); ++index) {
    const RankedSymbol& candidate = candidates[index];
    if (candidate.size != 0) {
      sized_.add(candidate.start, candidate.start + candidate.size, candidate.number);
      continue;
    }
    const auto next =
        std::ranges::upper_bound(candidates, candidate.start, {}, &RankedSymbol::start);
    const Dwarf_Addr end = next == candidates.end() ? candidate.section_end
                                                    : std::min(next->start, candidate.section_end);
    labels_.add(candidate.start, end, candidate.number);
  }
  sized_.finish();
  labels_.finish();
}

std::optional<PlacedSymbol> CodeSymbols::covering(Dwarf_Addr address) const {
  return find_in(module_, sized_, address);
}

std::optional<PlacedSymbol> CodeSymbols::label_before(Dwarf_Addr address) const {
  return find_in(module_, labels_, address);
}

DataSymbols::DataSymbols(Dwfl_Module* module) : module_(module) {
  for (const RankedSymbol& candidate : symbols_of(module, names_data, SHF_ALLOC))
    sized_.add(candidate.start, candidate.start + candidate.size, candidate.number);
  sized_.finish();
}

std::optional<PlacedSymbol> DataSymbols::covering(Dwarf_Addr address) const {
  return find_in(module_, sized_, address);
}

}  // namespace trapline::symbols
