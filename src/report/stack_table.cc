#include "report/stack_table.h"

namespace trapline::report {

std::size_t StackTable::Hash::operator()(const FlatKey& key) const {
  // FNV-1a over words, with the high half folded in: addresses differ in their low bits, tables
  // index by low bits.
  constexpr std::uint64_t kOffset = 0xcbf2'9ce4'8422'2325;
  constexpr std::uint64_t kPrime = 0x0000'0100'0000'01b3;
  constexpr unsigned kHalf = 32;
  std::uint64_t hash = kOffset;
  for (const std::uint64_t word : key) hash = (hash ^ word) * kPrime;
  return static_cast<std::size_t>(hash ^ (hash >> kHalf));
}

void StackTable::flatten(const StackKey& key) {
  constexpr std::uint64_t kKernel = 1;
  constexpr std::uint64_t kCulprit = 2;
  constexpr std::uint64_t kUserIp = 4;
  flat_.clear();
  // What follows depends on these, so that no two keys have the same words.
  flat_.push_back((key.in_kernel ? kKernel : 0) | (key.culprit_ip ? kCulprit : 0) |
                  (key.user_ip ? kUserIp : 0));
  flat_.push_back(key.view);
  flat_.push_back(key.trap_ip.value());
  if (key.culprit_ip) flat_.push_back(key.culprit_ip->value());
  if (key.user_ip) flat_.push_back(key.user_ip->value());
  flat_.push_back(key.kernel_stack.size());
  for (const RemoteAddress address : key.kernel_stack) flat_.push_back(address.value());
  for (const RemoteAddress address : key.callers) flat_.push_back(address.value());
}

}  // namespace trapline::report
