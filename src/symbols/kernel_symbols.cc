#include "symbols/kernel_symbols.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <tuple>

#include "symbols/whole_file.h"

namespace trapline::symbols {
namespace {

constexpr std::uint32_t kNotCode = std::numeric_limits<std::uint32_t>::max();
// An address farther than this behind the last symbol before it belongs to something kallsyms does
// not list.
constexpr std::uint64_t kLongestFunction = std::uint64_t{1} << 20;
constexpr int kHexadecimal = 16;

bool is_code(char type) {
  return type == 't' || type == 'T' || type == 'w' || type == 'W';
}

}  // namespace

std::optional<KallsymsLine> parse_kallsyms_line(std::string_view line) {
  KallsymsLine parsed;
  const auto [after, error] =
      std::from_chars(line.data(), line.data() + line.size(), parsed.address, kHexadecimal);
  if (error != std::errc{}) return std::nullopt;
  line.remove_prefix(static_cast<std::size_t>(after - line.data()));
  constexpr std::size_t kTypeAndSpaces = 3;
  if (line.size() <= kTypeAndSpaces || line[0] != ' ' || line[2] != ' ') return std::nullopt;
  parsed.type = line[1];
  line.remove_prefix(kTypeAndSpaces);
  const std::size_t tab = line.find('\t');
  parsed.name = line.substr(0, tab);
  if (parsed.name.empty()) return std::nullopt;
  if (tab == std::string_view::npos) return parsed;
  parsed.module = line.substr(tab + 1);
  if (!parsed.module.starts_with('[') || !parsed.module.ends_with(']')) return std::nullopt;
  return parsed;
}

KernelSymbols::KernelSymbols(std::string_view kallsyms) : modules_{""} {
  while (!kallsyms.empty()) {
    const std::size_t newline = kallsyms.find('\n');
    const auto line = parse_kallsyms_line(kallsyms.substr(0, newline));
    if (line) add(*line);
    kallsyms.remove_prefix(newline == std::string_view::npos ? kallsyms.size() : newline + 1);
  }
  if (std::ranges::all_of(symbols_, [](const Symbol& symbol) { return symbol.address == 0; }))
    symbols_.clear();
  // Of several names for one address the first listed is kept, as the kernel itself prints it.
  std::ranges::sort(symbols_, [](const Symbol& a, const Symbol& b) {
    return a.address != b.address ? a.address < b.address : a.name < b.name;
  });
  const auto same = std::ranges::unique(symbols_, {}, &Symbol::address);
  symbols_.erase(same.begin(), same.end());
  symbols_.shrink_to_fit();
  names_.shrink_to_fit();
}

KernelSymbols KernelSymbols::load() {
  std::string kallsyms;
  std::ignore = read_whole_file("/proc/kallsyms", kallsyms);
  return KernelSymbols(kallsyms);
}

void KernelSymbols::add(const KallsymsLine& line) {
  if (!is_code(line.type) || names_.size() >= kNotCode) {
    symbols_.push_back({line.address, kNotCode, 0});
    return;
  }
  symbols_.push_back(
      {line.address, static_cast<std::uint32_t>(names_.size()), module_number(line.module)});
  names_.append(line.name);
  names_.push_back('\0');
}

std::uint32_t KernelSymbols::module_number(std::string_view module) {
  // A module's symbols are listed together: its number is the last one, or a new one.
  if (module.empty()) return 0;
  if (modules_.back() != module) modules_.emplace_back(module);
  return static_cast<std::uint32_t>(modules_.size() - 1);
}

std::optional<KernelSymbols::Function> KernelSymbols::find(RemoteAddress address) const {
  const auto next = std::ranges::upper_bound(symbols_, address.value(), {}, &Symbol::address);
  if (next == symbols_.begin()) return std::nullopt;
  const Symbol& symbol = *std::prev(next);
  const std::uint64_t offset = address.value() - symbol.address;
  if (symbol.name == kNotCode || offset >= kLongestFunction) return std::nullopt;
  return Function{std::string_view(names_.c_str() + symbol.name), modules_[symbol.module], offset};
}

}  // namespace trapline::symbols
