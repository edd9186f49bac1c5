// deps: trapline_watch
// Any text: parsed or refused at a position inside it; what is parsed is typed or refused for any
// shape, and what is typed can be evaluated for any hit.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "trapline/watch/condition.h"

namespace {

using namespace trapline;

void check(const ConditionError& error, std::string_view text) {
  if (error.position > text.size() || error.reason.empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Hit hit;
  constexpr std::size_t kValues = 2 * sizeof(std::uint64_t) + 1;
  constexpr unsigned kSigned = 128;
  constexpr unsigned kFloating = 64;
  ValueShape shape;
  if (size >= kValues) {
    std::memcpy(&hit.old_value.bits, data, sizeof hit.old_value.bits);
    std::memcpy(&hit.new_value.bits, data + sizeof hit.old_value.bits, sizeof hit.new_value.bits);
    hit.old_value.certainty = hit.new_value.certainty = Certainty::exact;
    hit.comm = {'a', 'p', 'p'};
    const unsigned kind = data[kValues - 1];
    shape = {ByteCount{kind % 9U}, (kind & kSigned) != 0, (kind & kFloating) != 0};
    data += kValues;
    size -= kValues;
  }
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto condition = parse_condition(text);
  if (!condition) {
    check(condition.error(), text);
    return 0;
  }
  const auto typed = type_condition(*condition, shape);
  if (!typed) {
    check(typed.error(), text);
    return 0;
  }
  if (evaluate(*typed, hit) == Verdict::undecided && hit.old_value.certainty == Certainty::exact)
    std::abort();
  return 0;
}
