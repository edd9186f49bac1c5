#include "symbols/symbolizer.h"

#include <elfutils/libdwfl.h>

#include <unordered_map>
#include <utility>

#include "symbols/code_symbols.h"
#include "symbols/elf_symbols.h"
#include "symbols/module_code.h"
#include "symbols/thumb.h"

namespace trapline::symbols {

struct Symbolizer::Impl {
  Impl(ProcessImage& process, std::size_t limit) : image(process), cache_limit(limit) {}

  ProcessImage& image;
  std::size_t cache_limit;
  using Cache = std::unordered_map<std::uint64_t, std::vector<Frame>>;
  Cache instructions;
  Cache return_addresses;
  std::unordered_map<Dwfl_Module*, ModuleCode> modules;
  std::unordered_map<Dwfl_Module*, DataSymbols> variables;
  // By the name in a module's table; not more than there are in it.
  std::unordered_map<const char*, std::string> readable;

  // nullptr if no module is mapped there.
  ModuleCode* module_at(RemoteAddress address) {
    Dwfl_Module* const module = image.dwfl_module_at(address);
    if (module == nullptr) return nullptr;
    return &modules.try_emplace(module, module).first->second;
  }

  // The last one that begins before an address where none is mapped: its zeroed variables (.bss)
  // lie behind the pages that come from its file.
  [[nodiscard]] Dwfl_Module* module_before(RemoteAddress address) const {
    struct Search {
      Dwarf_Addr address;
      Dwarf_Addr nearest = 0;
      Dwfl_Module* found = nullptr;
    } search{.address = address.value()};
    const auto look = [](Dwfl_Module* module, void**, const char*, Dwarf_Addr start,
                         void* argument) {
      auto& wanted = *static_cast<Search*>(argument);
      if (start <= wanted.address && start >= wanted.nearest) {
        wanted.nearest = start;
        wanted.found = module;
      }
      return static_cast<int>(DWARF_CB_OK);
    };
    dwfl_getmodules(image.dwfl(), look, &search, 0);
    return search.found;
  }

  std::vector<Frame> resolve(RemoteAddress ip, bool is_return_address) {
    // A return address may be the first of the next function or line: the call is before it.
    const RemoteAddress lookup = is_return_address ? ip - ByteCount{1} : ip;
    if (ModuleCode* const module = module_at(lookup)) return module->frames_at(ip, lookup);
    Frame unknown;
    unknown.ip = ip;
    return {unknown};
  }
};

Symbolizer::Symbolizer(ProcessImage& image, std::size_t cache_limit)
    : impl_(std::make_unique<Impl>(image, cache_limit)) {}

Symbolizer::~Symbolizer() = default;

std::span<const Frame> Symbolizer::frames_at(RemoteAddress ip, bool is_return_address) {
  auto& cache = is_return_address ? impl_->return_addresses : impl_->instructions;
  if (const auto known = cache.find(ip.value()); known != cache.end()) return known->second;
  if (cache.size() >= impl_->cache_limit) cache.clear();
  return cache.emplace(ip.value(), impl_->resolve(ip, is_return_address)).first->second;
}

std::optional<AddressName> Symbolizer::name_at(RemoteAddress address) {
  ModuleCode* const code = impl_->module_at(address);
  Dwfl_Module* const module = code != nullptr ? code->module() : impl_->module_before(address);
  if (module == nullptr) return std::nullopt;
  const DataSymbols& variables = impl_->variables.try_emplace(module, module).first->second;
  auto symbol = variables.covering(address.value());
  const bool is_variable = symbol.has_value();
  std::uint64_t place = address.value();
  if (!symbol && code != nullptr) {
    place &= ~thumb_bit(module);  // of a pointer to a function
    symbol = code->symbol_covering(place);
  }
  if (!symbol) return std::nullopt;
  auto [readable, is_new] = impl_->readable.try_emplace(symbol->name);
  if (is_new)
    readable->second = is_variable ? readable_variable(symbol->name) : demangle(symbol->name);
  return AddressName{readable->second, place - symbol->start};
}

std::optional<FunctionRange> Symbolizer::function_at(RemoteAddress ip) {
  ModuleCode* const module = impl_->module_at(ip);
  return module == nullptr ? std::nullopt : module->function_at(ip);
}

void Symbolizer::clear() {
  impl_->instructions.clear();
  impl_->return_addresses.clear();
  impl_->modules.clear();
  impl_->variables.clear();
  impl_->readable.clear();
}

Frame KernelSymbolizer::frame_at(RemoteAddress ip) {
  if (!symbols_) symbols_ = KernelSymbols::load();
  Frame frame;
  frame.ip = ip;
  frame.module = "[kernel]";
  if (const auto found = symbols_->find(ip)) {
    frame.symbol = found->name;
    frame.offset = found->offset;
    if (!found->module.empty()) frame.module = found->module;
  }
  return frame;
}

}  // namespace trapline::symbols
