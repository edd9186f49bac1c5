// deps: trapline_symbols
// Any text: parsed, or refused at a position inside it with a reason; nothing parsed is without a
// name.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "symbols/expression.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace trapline::symbols;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto expression = parse_expression(text);
  if (!expression) {
    if (expression.error().position > text.size() || expression.error().reason.empty())
      std::abort();
    return 0;
  }
  const auto* object = std::get_if<NamedObject>(&*expression);
  if (object != nullptr && object->name.empty()) std::abort();
  return 0;
}
