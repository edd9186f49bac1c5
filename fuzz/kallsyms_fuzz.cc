// deps: trapline_symbols
// Any text: what is found lies at or before the address that was asked for.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "symbols/kernel_symbols.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace trapline;
  const auto symbols = symbols::KernelSymbols::parse({reinterpret_cast<const char*>(data), size});
  for (const std::uint64_t address :
       {std::uint64_t{0}, std::uint64_t{0xffffffff81000010}, ~std::uint64_t{0}}) {
    const auto found = symbols.find(RemoteAddress(address));
    if (found && (found->offset > address || found->name.empty())) std::abort();
  }
  return 0;
}
