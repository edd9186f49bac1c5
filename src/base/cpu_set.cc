#include "trapline/base/cpu_set.h"

namespace trapline {
namespace {

constexpr std::unexpected<Error> kBadList{Error{ErrorCode::bad_syntax}};

// Takes a decimal CPU number off the front of `text`.
std::expected<std::uint32_t, Error> take_cpu(std::string_view& text) {
  constexpr std::uint32_t kBase = 10;
  std::uint32_t value = 0;
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    value = value * kBase + static_cast<std::uint32_t>(text[digits] - '0');
    if (value >= kMaxCpus) return kBadList;
    ++digits;
  }
  if (digits == 0) return kBadList;
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::expected<CpuSet, Error> parse_cpu_list(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  CpuSet set;
  if (text.empty()) return set;
  do {
    const auto first = take_cpu(text);
    if (!first) return kBadList;
    std::uint32_t last = *first;
    if (take(text, '-')) {
      const auto end = take_cpu(text);
      if (!end || *end < *first) return kBadList;
      last = *end;
    }
    for (std::uint32_t cpu = *first; cpu <= last; ++cpu) set.insert(CpuId{cpu});
  } while (take(text, ','));
  if (!text.empty()) return kBadList;
  return set;
}

}  // namespace trapline
