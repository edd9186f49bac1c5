#include "symbols/module_code.h"

#include <cstdlib>
#include <string_view>
#include <utility>

#include "symbols/die_facts.h"
#include "symbols/elf_symbols.h"
#include "symbols/function_name.h"
#include "symbols/inline_chain.h"
#include "symbols/module_path.h"
#include "symbols/source_lines.h"

namespace trapline::symbols {
namespace {

// Call-frame rows looked at, backwards, for the start of a function without a symbol.
constexpr int kMaxRows = 4096;

}  // namespace

ModuleCode::ModuleCode(Dwfl_Module* module)
    : module_(module),
      basename_(basename_of(dwfl_module_info(module, nullptr, nullptr, nullptr, nullptr, nullptr,
                                             nullptr, nullptr))) {}

const CodeSymbols& ModuleCode::symbols() {
  if (!symbols_) symbols_.emplace(module_);
  return *symbols_;
}

const UnitFunctions& ModuleCode::functions_of(Dwarf_Die& unit) {
  const auto known = functions_.find(unit.addr);
  if (known != functions_.end()) return known->second;
  return functions_.emplace(unit.addr, UnitFunctions(unit)).first->second;
}

std::optional<ModuleCode::Located> ModuleCode::locate(Dwarf_Addr address) {
  if (!dwarf_opened_) {
    dwarf_opened_ = true;
    dwarf_ = dwfl_module_getdwarf(module_, &bias_);
    if (dwarf_ != nullptr) units_.emplace(dwarf_);
  }
  if (!units_) return std::nullopt;
  auto unit = units_->unit_at(address - bias_);
  if (!unit) return std::nullopt;
  return Located{*unit, functions_of(*unit).at(address - bias_)};
}

// The frame of the function that was compiled as such: named by DWARF, placed by DWARF or ELF.
Frame ModuleCode::outermost_frame(RemoteAddress ip, Dwarf_Addr lookup, Located* located) {
  Frame frame;
  frame.ip = ip;
  frame.module = basename_;
  auto symbol = symbols().covering(lookup);
  if (located == nullptr || !located->piece) {
    if (!symbol) symbol = symbols().label_before(lookup);
    if (!symbol) return frame;
    frame.symbol = demangle(symbol->name);
    frame.offset = ip.value() - symbol->start;
    return frame;
  }
  FunctionPiece& piece = *located->piece;
  const bool is_at_entry = entry_of(piece.function) == piece.start;
  const bool symbol_fits = symbol && symbol->start == piece.start + bias_;
  frame.offset = ip.value() - (piece.start + bias_);
  // A cold part's own symbol ("f.cold") says where the offset counts from.
  frame.symbol = symbol_fits && !is_at_entry
                     ? demangle(symbol->name)
                     : function_name(piece.function, symbol_fits ? symbol->name : nullptr);
  return frame;
}

std::vector<Frame> ModuleCode::frames_at(RemoteAddress ip, RemoteAddress lookup) {
  auto located = locate(lookup.value());
  if (!located) return {outermost_frame(ip, lookup.value(), nullptr)};
  const Dwarf_Addr address = lookup.value() - bias_;
  SourceLine source = line_at(located->unit, address);
  std::vector<Frame> frames;
  if (located->piece) {
    std::vector<Dwarf_Die> chain = inline_chain(located->piece->function, address);
    for (std::size_t index = chain.size(); index-- > 1;) {
      Frame frame;
      frame.ip = ip;
      frame.symbol = function_name(chain[index], nullptr);
      frame.file = std::move(source.file);
      frame.line = source.line;
      frame.module = basename_;
      frame.inlined = true;
      frames.push_back(std::move(frame));
      source = call_site(located->unit, chain[index]);
    }
  }
  frames.push_back(outermost_frame(ip, lookup.value(), &*located));
  frames.back().file = std::move(source.file);
  frames.back().line = source.line;
  return frames;
}

std::optional<FunctionRange> ModuleCode::function_at(RemoteAddress address) {
  const auto range_of = [](const PlacedSymbol& symbol) {
    return FunctionRange{RemoteAddress(symbol.start), RemoteAddress(symbol.end),
                         demangle(symbol.name)};
  };
  if (const auto symbol = symbols().covering(address.value())) return range_of(*symbol);
  if (auto located = locate(address.value()); located && located->piece) {
    FunctionPiece& piece = *located->piece;
    return FunctionRange{RemoteAddress(piece.start + bias_), RemoteAddress(piece.end + bias_),
                         function_name(piece.function, nullptr)};
  }
  if (auto function = unwound_function(address.value())) return function;
  if (const auto label = symbols().label_before(address.value())) return range_of(*label);
  return std::nullopt;
}

// Rows of call-frame information that meet each other, backwards from the address. They may run
// into the function before, if that ends where this one starts; decoding from there is as good.
std::optional<FunctionRange> ModuleCode::unwound_function(Dwarf_Addr address) {
  Dwarf_Addr bias = 0;
  Dwarf_CFI* const cfi = dwfl_module_eh_cfi(module_, &bias);
  if (cfi == nullptr) return std::nullopt;
  std::optional<FunctionRange> function;
  Dwarf_Addr position = address - bias;
  for (int row = 0; row < kMaxRows; ++row) {
    Dwarf_Frame* frame = nullptr;
    if (dwarf_cfi_addrframe(cfi, position, &frame) != 0) break;
    Dwarf_Addr start = 0;
    Dwarf_Addr end = 0;
    dwarf_frame_info(frame, &start, &end, nullptr);
    std::free(frame);
    if (!function) function = FunctionRange{{}, RemoteAddress(end + bias), {}};
    function->start = RemoteAddress(start + bias);
    if (start == 0) break;
    position = start - 1;
  }
  return function;
}

}  // namespace trapline::symbols
