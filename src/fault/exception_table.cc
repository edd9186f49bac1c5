#include "trapline/fault/exception_table.h"

#include <utility>

namespace trapline::fault {
namespace {

// Restores the heap order below `root`: less(a, b) and exchange(a, b) work on indices.
template <typename Less, typename Exchange>
void sift_down(std::size_t root, std::size_t count, Less less, Exchange exchange) {
  while (true) {
    std::size_t child = 2 * root + 1;
    if (child >= count) return;
    if (child + 1 < count && less(child, child + 1)) ++child;
    if (!less(root, child)) return;
    exchange(root, child);
    root = child;
  }
}

// Heapsort: no recursion and no memory, which a boot path has neither of, and no bad case. The
// library's algorithms move values, and an entry cannot be moved: it is exchanged.
template <typename Less, typename Exchange>
void heap_sort(std::size_t count, Less less, Exchange exchange) {
  for (std::size_t root = count / 2; root-- > 0;) sift_down(root, count, less, exchange);
  for (std::size_t last = count; last-- > 1;) {
    exchange(0, last);
    sift_down(0, last, less, exchange);
  }
}

// A distance that leads from its new place to where it led from the old one.
std::int32_t moved(std::int32_t distance, const std::int32_t& from, const std::int32_t& to) {
  const auto shift =
      reinterpret_cast<std::uintptr_t>(&from) - reinterpret_cast<std::uintptr_t>(&to);
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(distance) +
                                   static_cast<std::uint32_t>(shift));
}

void exchange_distances(std::int32_t& a, std::int32_t& b) {
  const std::int32_t old_a = a;
  a = moved(b, b, a);
  b = moved(old_a, a, b);
}

void exchange_entries(ExceptionEntry& a, ExceptionEntry& b) {
  exchange_distances(a.instruction_distance, b.instruction_distance);
  exchange_distances(a.fixup_distance, b.fixup_distance);
  std::swap(a.guards, b.guards);
}

}  // namespace

const ExceptionEntry* ExceptionTable::find_entry(std::uintptr_t instruction,
                                                 std::uint32_t* probes) const {
  std::size_t low = 0;
  std::size_t high = size();
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    const ExceptionEntry& entry = at(middle);
    if (probes != nullptr) ++*probes;
    const std::uintptr_t here = entry.instruction();
    if (here == instruction) return &entry;
    if (here < instruction) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return nullptr;
}

bool ExceptionTable::is_strictly_sorted() const {
  for (std::size_t rank = 1; rank < size(); ++rank) {
    if (at(rank - 1).instruction() >= at(rank).instruction()) return false;
  }
  return true;
}

void sort_entries(std::span<ExceptionEntry> entries) {
  heap_sort(
      entries.size(),
      [&](std::size_t a, std::size_t b) {
        return entries[a].instruction() < entries[b].instruction();
      },
      [&](std::size_t a, std::size_t b) { exchange_entries(entries[a], entries[b]); });
}

void sort_order(std::span<const ExceptionEntry> entries, std::span<std::uint32_t> order) {
  for (std::size_t index = 0; index < order.size(); ++index) {
    order[index] = static_cast<std::uint32_t>(index);
  }
  heap_sort(
      order.size(),
      [&](std::size_t a, std::size_t b) {
        return entries[order[a]].instruction() < entries[order[b]].instruction();
      },
      [&](std::size_t a, std::size_t b) { std::swap(order[a], order[b]); });
}

}  // namespace trapline::fault
