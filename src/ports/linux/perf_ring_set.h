// The rings of all CPUs, read as one stream in the order of time.
//
// Records stay in their ring until their turn has come, so nothing is buffered beside the rings.
// One thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "ports/linux/perf_records.h"
#include "ports/linux/perf_ring.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

class PerfRingSet {
 public:
  explicit PerfRingSet(SampleLayout layout) : layout_(layout) {}

  // The reader outlives the set. Rings are numbered in the order they are added.
  void add(PerfRingReader& reader);

  // Notes how far each ring has been written: next() goes no further until this is called again.
  void look();

  struct Item {
    std::size_t ring = 0;
    std::uint64_t position = 0;
    RecordHeader header;
    std::span<const std::byte> bytes;  // borrowed: valid until the next call of next() or release()
  };
  // Takes the oldest record if it was made at or before `until`; nullopt when there is none. A ring
  // that holds something that is not a record is skipped to its end.
  [[nodiscard]] std::optional<Item> next(Nanoseconds until);

  static constexpr Nanoseconds kForever{std::numeric_limits<std::uint64_t>::max()};
  // A record is younger than this for as long as one of another CPU may still be on its way into
  // its ring with an older time: the kernel takes the time first and publishes the record last.
  static constexpr Nanoseconds kSettlingTime{2'000'000};
  // Up to when the order of records is certain.
  [[nodiscard]] static constexpr Nanoseconds settled_before(Nanoseconds now) {
    return {now.value - std::min(now.value, kSettlingTime.value)};
  }
  // A ring wakes its reader when it fills; sparse records are found by coming back this often.
  static constexpr Nanoseconds kLookInterval{20'000'000};

  struct Limits {
    std::size_t hits;
    std::size_t records;
  };
  // As much as a reader takes before it looks at its clock again.
  static constexpr Limits kPerDrain{1024, 8192};
  static constexpr Limits kNoLimits{std::numeric_limits<std::size_t>::max(),
                                    std::numeric_limits<std::size_t>::max()};
  // Looks, then calls handle(item) for every record made at or before `until`; handle tells whether
  // it was a hit. Gives the room back as it goes. True if it stopped at a limit.
  template <typename Handler>
  bool deliver(Nanoseconds until, Limits limits, Handler handle);

  // Whether anything written up to the last look() is still to come after the item taken last.
  [[nodiscard]] bool has_more() const;

  // The same of samples only.
  [[nodiscard]] bool has_more_samples();

  // Calls visit(header, bytes) for the records after `item` in its ring until it returns false.
  // Returns whether it was stopped by visit (and not by the end of what is written).
  template <typename Visitor>
  bool visit_following(const Item& item, Visitor visit);

  // Calls visit(header, bytes) once for every record written since the last call of this, without
  // taking any.
  template <typename Visitor>
  void visit_new(Visitor visit);

  // Gives what was taken back to the kernel.
  void release();

 private:
  struct Ring {
    PerfRingReader* reader = nullptr;
    std::uint64_t position = 0;  // of the first record that was not taken
    std::uint64_t limit = 0;     // as of look()
    std::uint64_t visited = 0;   // as of visit_new()
    std::optional<std::span<const std::byte>> front;
    Nanoseconds front_time;
    std::vector<std::byte> copy;  // of `front`, if it wraps
  };

  void load_front(Ring& ring);

  SampleLayout layout_;
  std::vector<Ring> rings_;
  std::vector<std::byte> visit_copy_;
  std::optional<std::size_t> taken_from_;  // its front has been handed out and is still borrowed
};

template <typename Handler>
bool PerfRingSet::deliver(Nanoseconds until, Limits limits, Handler handle) {
  // How many records are taken before their room is given back to the kernel.
  constexpr std::size_t kRecordsPerRelease = 64;
  look();
  std::size_t hits = 0;
  std::size_t records = 0;
  bool stopped_early = false;
  while (true) {
    if (hits == limits.hits || records == limits.records) {
      stopped_early = true;
      break;
    }
    const auto item = next(until);
    if (!item) break;
    ++records;
    if (handle(*item)) ++hits;
    if (records % kRecordsPerRelease == 0) release();
  }
  release();
  return stopped_early;
}

template <typename Visitor>
bool PerfRingSet::visit_following(const Item& item, Visitor visit) {
  Ring& ring = rings_[item.ring];
  std::uint64_t position = item.position + item.header.size;
  while (position < ring.limit) {
    const auto record = ring.reader->record_at(position, ring.limit, visit_copy_);
    const auto header = record ? read_header(*record) : std::nullopt;
    if (!header) return false;
    if (!visit(*header, *record)) return true;
    position += header->size;
  }
  return false;
}

template <typename Visitor>
void PerfRingSet::visit_new(Visitor visit) {
  for (Ring& ring : rings_) {
    const std::uint64_t head = ring.reader->head();
    while (ring.visited < head) {
      const auto record = ring.reader->record_at(ring.visited, head, visit_copy_);
      const auto header = record ? read_header(*record) : std::nullopt;
      if (!header) {
        ring.visited = head;
        break;
      }
      visit(*header, *record);
      ring.visited += header->size;
    }
  }
}

}  // namespace trapline::linux_port
