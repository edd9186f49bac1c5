#include "report/enumerator_text.h"

#include <algorithm>
#include <bit>
#include <string_view>

#include "report/printable.h"

namespace trapline::report {
namespace {

using symbols::Enumerator;

// 0, 1, 2, ... or any other run of at least three: such values are told apart, not combined.
bool is_numbered(std::span<const Enumerator> enumerators) {
  constexpr std::uint64_t kShortestRun = 3;
  std::uint64_t distinct = 1;
  for (std::size_t index = 1; index < enumerators.size(); ++index) {
    const std::uint64_t step = enumerators[index].bits - enumerators[index - 1].bits;
    if (step > 1) return false;
    distinct += step;
  }
  return distinct >= kShortestRun;
}

// All bits that have a name of their own; 0 if this is no set of flags.
std::uint64_t flags_of(std::span<const Enumerator> enumerators) {
  std::uint64_t flags = 0;
  for (const Enumerator& enumerator : enumerators) {
    if (std::has_single_bit(enumerator.bits)) flags |= enumerator.bits;
  }
  const bool are_combined = std::ranges::all_of(enumerators, [flags](const Enumerator& enumerator) {
    const bool is_all_ones = (enumerator.bits & (enumerator.bits + 1)) == 0;
    return is_all_ones || (enumerator.bits & ~flags) == 0;
  });
  if (std::popcount(flags) < 2 || !are_combined || is_numbered(enumerators)) return 0;
  return flags;
}

}  // namespace

bool append_enumerators(fmt::memory_buffer& buffer, std::uint64_t bits,
                        std::span<const Enumerator> enumerators) {
  const auto exact = std::ranges::lower_bound(enumerators, bits, {}, &Enumerator::bits);
  if (exact != enumerators.end() && exact->bits == bits) {
    append_printable(buffer, exact->name);
    return true;
  }
  if (bits == 0 || (bits & ~flags_of(enumerators)) != 0) return false;
  std::uint64_t told = 0;
  for (const Enumerator& enumerator : enumerators) {
    const bool is_new_flag = std::has_single_bit(enumerator.bits) &&
                             (enumerator.bits & bits) != 0 && (enumerator.bits & told) == 0;
    if (!is_new_flag) continue;
    if (told != 0) buffer.push_back('|');
    append_printable(buffer, enumerator.name);
    told |= enumerator.bits;
  }
  return true;
}

}  // namespace trapline::report
