#include "symbols/symbolizer.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "symbols/elf_symbols.h"
#include "symbols/inline_chain.h"
#include "symbols/kernel_symbols.h"
#include "symbols/unit_ranges.h"

namespace trapline::symbols {
namespace {

// Call-frame rows looked at, backwards, for the start of a function without a symbol.
constexpr int kMaxRows = 4096;

std::string basename_of(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

std::string absolute_path(Dwarf_Die& unit, const char* path) {
  if (path == nullptr) return {};
  if (path[0] == '/') return path;
  Dwarf_Attribute attribute;
  const char* directory = nullptr;
  if (dwarf_attr(&unit, DW_AT_comp_dir, &attribute) != nullptr)
    directory = dwarf_formstring(&attribute);
  return directory == nullptr ? std::string(path) : std::string(directory) + "/" + path;
}

struct SourceLine {
  std::string file;
  std::uint32_t line = 0;
};

SourceLine line_at(Dwarf_Die& unit, Dwarf_Addr address) {
  SourceLine source;
  Dwarf_Line* const line = dwarf_getsrc_die(&unit, address);
  int number = 0;
  if (line == nullptr || dwarf_lineno(line, &number) != 0) return source;
  source.file = absolute_path(unit, dwarf_linesrc(line, nullptr, nullptr));
  source.line = static_cast<std::uint32_t>(number);
  return source;
}

// Where an inlined subroutine was called.
SourceLine call_site(Dwarf_Die& unit, Dwarf_Die& inlined) {
  SourceLine source;
  Dwarf_Attribute attribute;
  Dwarf_Word file = 0;
  Dwarf_Word line = 0;
  Dwarf_Files* files = nullptr;
  std::size_t count = 0;
  if (dwarf_attr(&inlined, DW_AT_call_file, &attribute) != nullptr &&
      dwarf_formudata(&attribute, &file) == 0 && dwarf_getsrcfiles(&unit, &files, &count) == 0 &&
      file < count) {
    source.file = absolute_path(unit, dwarf_filesrc(files, file, nullptr, nullptr));
  }
  if (dwarf_attr(&inlined, DW_AT_call_line, &attribute) != nullptr &&
      dwarf_formudata(&attribute, &line) == 0) {
    source.line = static_cast<std::uint32_t>(line);
  }
  return source;
}

}  // namespace

struct Symbolizer::Impl {
  Impl(ProcessImage& process, std::size_t limit) : image(process), cache_limit(limit) {}

  ProcessImage& image;
  std::size_t cache_limit;
  // By address, and whether it is a return address.
  std::unordered_map<std::uint64_t, std::vector<Frame>> instructions;
  std::unordered_map<std::uint64_t, std::vector<Frame>> return_addresses;
  std::unordered_map<Dwfl_Module*, UnitRanges> ranges;
  std::optional<KernelSymbols> kernel;

  const UnitRanges& ranges_of(Dwfl_Module* module, Dwarf* dwarf) {
    const auto known = ranges.find(module);
    if (known != ranges.end()) return known->second;
    return ranges.emplace(module, UnitRanges(dwarf)).first->second;
  }

  std::vector<Frame> resolve(RemoteAddress ip, bool is_return_address) {
    // A return address may be the first of the next function or line: the call is before it.
    const Dwarf_Addr lookup = is_return_address ? ip.value() - 1 : ip.value();
    Frame base;
    base.ip = ip;
    Dwfl_Module* const module = dwfl_addrmodule(image.dwfl(), lookup);
    if (module == nullptr) return {base};
    base.module = basename_of(
        dwfl_module_info(module, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr));
    GElf_Off offset = 0;
    GElf_Sym symbol;
    const char* const name =
        dwfl_module_addrinfo(module, lookup, &offset, &symbol, nullptr, nullptr, nullptr);
    if (name != nullptr) {
      base.symbol = demangle(name);
      base.offset = offset + (ip.value() - lookup);
    }
    auto frames = resolve_dwarf(module, lookup, base);
    if (frames.empty()) frames.push_back(base);
    return frames;
  }

  // `base` is the frame as ELF knows it; empty if DWARF knows nothing.
  std::vector<Frame> resolve_dwarf(Dwfl_Module* module, Dwarf_Addr lookup, const Frame& base) {
    Dwarf_Addr bias = 0;
    Dwarf* const dwarf = dwfl_module_getdwarf(module, &bias);
    if (dwarf == nullptr) return {};
    auto unit = ranges_of(module, dwarf).unit_at(lookup - bias);
    if (!unit) return {};
    std::vector<Frame> frames;
    SourceLine source = line_at(*unit, lookup - bias);
    std::vector<Dwarf_Die> chain = inline_chain(*unit, lookup - bias);
    for (std::size_t index = chain.size(); index-- > 0;) {
      Frame frame = base;
      frame.inlined = index > 0;
      frame.file = std::move(source.file);
      frame.line = source.line;
      name_function(chain[index], lookup - bias, frame);
      frames.push_back(std::move(frame));
      if (index > 0) source = call_site(*unit, chain[index]);
    }
    if (frames.empty() && source.line != 0) {
      frames.push_back(base);
      frames.back().file = std::move(source.file);
      frames.back().line = source.line;
    }
    return frames;
  }

  static void name_function(Dwarf_Die& function, Dwarf_Addr address, Frame& frame) {
    const std::string name = function_name(function);
    const bool had_symbol = !frame.symbol.empty();
    // The ELF symbol of a cold part or a clone says more than the function's plain name ("f.cold").
    if (!name.empty() && (frame.inlined || !had_symbol || !frame.symbol.starts_with(name)))
      frame.symbol = name;
    if (frame.inlined) {
      frame.offset = 0;
    } else if (!had_symbol) {
      Dwarf_Addr entry = 0;
      if (dwarf_entrypc(&function, &entry) == 0 && entry <= address) frame.offset = address - entry;
    }
  }

  std::optional<FunctionRange> elf_function(Dwfl_Module* module, Dwarf_Addr address) {
    GElf_Off offset = 0;
    GElf_Sym symbol;
    const char* const name =
        dwfl_module_addrinfo(module, address, &offset, &symbol, nullptr, nullptr, nullptr);
    if (name == nullptr || offset >= symbol.st_size) return std::nullopt;
    const RemoteAddress start(address - offset);
    return FunctionRange{start, start + ByteCount{symbol.st_size}, demangle(name)};
  }

  std::optional<FunctionRange> dwarf_function(Dwfl_Module* module, Dwarf_Addr address) {
    Dwarf_Addr bias = 0;
    Dwarf* const dwarf = dwfl_module_getdwarf(module, &bias);
    if (dwarf == nullptr) return std::nullopt;
    auto unit = ranges_of(module, dwarf).unit_at(address - bias);
    if (!unit) return std::nullopt;
    std::vector<Dwarf_Die> chain = inline_chain(*unit, address - bias);
    if (chain.empty()) return std::nullopt;
    // Of a function in several pieces, the piece that holds the address.
    Dwarf_Addr base = 0;
    Dwarf_Addr start = 0;
    Dwarf_Addr end = 0;
    for (std::ptrdiff_t offset = 0;
         (offset = dwarf_ranges(&chain[0], offset, &base, &start, &end)) > 0;) {
      if (start <= address - bias && address - bias < end) {
        return FunctionRange{RemoteAddress(start + bias), RemoteAddress(end + bias),
                             function_name(chain[0])};
      }
    }
    return std::nullopt;
  }

  // Stripped: rows of call-frame information that meet each other, backwards from the address. They
  // may run into the function before, if that ends where this one starts; decoding from there is as
  // good.
  std::optional<FunctionRange> unwound_function(Dwfl_Module* module, Dwarf_Addr address) {
    Dwarf_Addr bias = 0;
    Dwarf_CFI* const cfi = dwfl_module_eh_cfi(module, &bias);
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

std::optional<FunctionRange> Symbolizer::function_at(RemoteAddress ip) {
  Dwfl_Module* const module = dwfl_addrmodule(impl_->image.dwfl(), ip.value());
  if (module == nullptr) return std::nullopt;
  if (auto function = impl_->elf_function(module, ip.value())) return function;
  if (auto function = impl_->dwarf_function(module, ip.value())) return function;
  return impl_->unwound_function(module, ip.value());
}

Frame Symbolizer::kernel_frame(RemoteAddress ip) {
  if (!impl_->kernel) impl_->kernel = KernelSymbols::load();
  Frame frame;
  frame.ip = ip;
  frame.module = "[kernel]";
  if (const auto found = impl_->kernel->find(ip)) {
    frame.symbol = found->name;
    frame.offset = found->offset;
  }
  return frame;
}

void Symbolizer::clear() {
  impl_->instructions.clear();
  impl_->return_addresses.clear();
  impl_->ranges.clear();
}

}  // namespace trapline::symbols
