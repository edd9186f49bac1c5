// Which of many address ranges contains an address: the innermost one. Pure; ranges may nest and
// overlap.
//
// Filled with add(), then finish() once, then asked. find() costs a binary search and a step for
// every range that starts between the answer and the address.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace trapline::symbols {

template <typename Value>
class RangeMap {
 public:
  struct Entry {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    std::uint64_t reach = 0;  // the highest end of this entry and all before it
    Value value;
  };

  // [start, end); an empty or reversed range is not kept.
  void add(std::uint64_t start, std::uint64_t end, Value value) {
    if (start < end) entries_.push_back({start, end, 0, std::move(value)});
  }

  void finish() {
    // Of equal ranges the one added last is found first: until it is known, `reach` holds the
    // order.
    for (std::size_t index = 0; index < entries_.size(); ++index) entries_[index].reach = index;
    std::ranges::sort(entries_, [](const Entry& a, const Entry& b) {
      if (a.start != b.start) return a.start < b.start;
      return a.end != b.end ? a.end > b.end : a.reach < b.reach;
    });
    std::uint64_t reach = 0;
    for (Entry& entry : entries_) entry.reach = reach = std::max(reach, entry.end);
    entries_.shrink_to_fit();
  }

  // The containing range with the highest start, the shortest of those; nullptr if there is none.
  [[nodiscard]] const Entry* find(std::uint64_t address) const {
    auto next = std::ranges::upper_bound(entries_, address, {}, &Entry::start);
    while (next != entries_.begin()) {
      --next;
      if (address < next->end) return &*next;
      if (next->reach <= address) break;
    }
    return nullptr;
  }

  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  std::vector<Entry> entries_;
};

}  // namespace trapline::symbols
