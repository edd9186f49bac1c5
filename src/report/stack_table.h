// Stacks seen so far, each resolved once: most hits come from a few places.
//
// Bounded: when it is full it starts afresh. Ids are never reused, so that what reporters cached
// under one stays right.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "report/reporter.h"
#include "trapline/base/address.h"

namespace trapline::report {

// What makes two stacks the same. Borrowed.
struct StackKey {
  // Whose code the addresses of user mode are of: in another process, or after code was replaced,
  // they mean something else. 0 if there are none.
  std::uint64_t view = 0;
  RemoteAddress trap_ip;
  std::optional<RemoteAddress> culprit_ip = std::nullopt;
  bool in_kernel = false;
  std::span<const RemoteAddress> kernel_stack = {};
  std::optional<RemoteAddress> user_ip = std::nullopt;
  std::span<const RemoteAddress> callers = {};
};

class StackTable {
 public:
  explicit StackTable(std::size_t limit) : limit_(limit) {}

  // The reference stays valid until the next call. `resolve` is called for a stack not seen before.
  template <typename Resolve>  // std::vector<symbols::Frame>(const StackKey&)
  const ResolvedStack& find_or_resolve(const StackKey& key, Resolve resolve) {
    flatten(key);
    if (const auto known = stacks_.find(flat_); known != stacks_.end()) return known->second;
    if (stacks_.size() >= limit_) stacks_.clear();
    // resolve() may not touch this table; flat_ is still the key.
    return stacks_.emplace(flat_, ResolvedStack{next_id_++, resolve(key)}).first->second;
  }

  // Forgets all stacks: what they were resolved from has changed.
  void clear() { stacks_.clear(); }
  [[nodiscard]] std::size_t size() const { return stacks_.size(); }

 private:
  using FlatKey = std::vector<std::uint64_t>;
  struct Hash {
    std::size_t operator()(const FlatKey& key) const;
  };

  // The key as numbers, in flat_: reused, so that a hit allocates nothing.
  void flatten(const StackKey& key);

  std::size_t limit_;
  std::uint64_t next_id_ = 1;
  FlatKey flat_;
  std::unordered_map<FlatKey, ResolvedStack, Hash> stacks_;
};

}  // namespace trapline::report
