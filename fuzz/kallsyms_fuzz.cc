// deps: trapline_symbols
//
// Any text as /proc/kallsyms: lines are taken or passed over, and what is found lies in the text.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "symbols/kernel_symbols.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using trapline::RemoteAddress;
  std::uint64_t address = 0;
  if (size >= sizeof address) std::memcpy(&address, data, sizeof address);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto line = trapline::symbols::parse_kallsyms_line(text)) {
    if (line->name.empty()) std::abort();
    address = line->address;
  }
  const trapline::symbols::KernelSymbols symbols(text);
  for (const std::uint64_t probe : {address, address + 1, std::uint64_t{0}, ~std::uint64_t{0}}) {
    const auto found = symbols.find(RemoteAddress(probe));
    // A name may hold a zero byte in hostile text: then less of it is found, never more.
    if (found && text.find(found->name) == std::string_view::npos) std::abort();
    if (found && found->offset > probe) std::abort();
  }
  return 0;
}
