#include "symbols/thumb.h"

#include <gelf.h>

namespace trapline::symbols {

GElf_Addr thumb_bit(Dwfl_Module* module) {
  GElf_Addr unused = 0;
  Elf* const elf = dwfl_module_getelf(module, &unused);
  GElf_Ehdr header;
  if (elf == nullptr || gelf_getehdr(elf, &header) == nullptr) return 0;
  return header.e_machine == EM_ARM ? 1 : 0;
}

bool is_mapping_symbol(std::string_view name) {
  constexpr std::string_view kKinds = "atdx";
  const bool has_kind =
      name.size() >= 2 && name[0] == '$' && kKinds.find(name[1]) != std::string_view::npos;
  return has_kind && (name.size() == 2 || name[2] == '.');
}

bool is_thumb_function(ProcessImage& image, RemoteAddress entry) {
  constexpr std::uint64_t kWord = 4;
  Dwfl_Module* const module = image.dwfl_module_at(entry);
  const GElf_Addr bit = module == nullptr ? 0 : thumb_bit(module);
  if (bit == 0) return false;
  if (entry.value() % kWord != 0) return true;
  const int count = dwfl_module_getsymtab(module);
  for (int number = 0; number < count; ++number) {
    GElf_Sym symbol;
    GElf_Addr address = 0;
    dwfl_module_getsym_info(module, number, &symbol, &address, nullptr, nullptr, nullptr);
    if (GELF_ST_TYPE(symbol.st_info) == STT_FUNC && address == (entry.value() | bit)) return true;
  }
  return false;
}

}  // namespace trapline::symbols
