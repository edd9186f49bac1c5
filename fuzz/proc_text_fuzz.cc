// deps: trapline_linux
//
// Any text as what /proc says: the parsers take it or refuse it, and what they take makes sense.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "ports/linux/proc_fs.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto maps = trapline::linux_port::parse_maps(text)) {
    for (const auto& mapping : *maps) {
      if (mapping.end < mapping.start) std::abort();
    }
  }
  static_cast<void>(trapline::linux_port::parse_status(text));
  static_cast<void>(trapline::linux_port::find_auxv(text, size));
  return 0;
}
