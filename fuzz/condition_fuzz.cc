// deps: trapline_watch
// Any text: parsed or refused at a position inside it; what is parsed can be evaluated for any hit.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "trapline/watch/condition.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace trapline;
  Hit hit;
  constexpr std::size_t kValues = 2 * sizeof(std::uint64_t) + 1;
  ValueShape shape;
  if (size >= kValues) {
    std::memcpy(&hit.old_value.bits, data, sizeof hit.old_value.bits);
    std::memcpy(&hit.new_value.bits, data + sizeof hit.old_value.bits, sizeof hit.new_value.bits);
    hit.old_value.certainty = hit.new_value.certainty = Certainty::exact;
    shape = {ByteCount{data[kValues - 1] % 9U}, data[kValues - 1] >= 128};
    data += kValues;
    size -= kValues;
  }
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto condition = parse_condition(text);
  if (!condition) {
    if (condition.error().position > text.size() || condition.error().reason.empty()) std::abort();
    return 0;
  }
  if (evaluate(*condition, hit, shape) == Verdict::undecided &&
      hit.old_value.certainty == Certainty::exact) {
    std::abort();
  }
  return 0;
}
