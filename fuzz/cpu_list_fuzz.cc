// deps: trapline_base
// Any text: parsed or refused; a parsed set has as many members as it visits.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "trapline/base/cpu_set.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto set = trapline::parse_cpu_list({reinterpret_cast<const char*>(data), size});
  if (!set) return 0;
  std::uint32_t visited = 0;
  set->for_each([&](trapline::CpuId cpu) { visited += set->contains(cpu) ? 1 : 0; });
  if (visited != set->count()) std::abort();
  return 0;
}
