// The records of a watch in the order of time. A program takes the time first and its place in the
// ring last, so that the ring's order is not quite that of time. One thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <span>
#include <vector>

#include "ports/linux/bpf/bpf_records.h"
#include "ports/linux/bpf/bpf_watch_programs.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

class BpfRecordQueue {
 public:
  // Takes at most `limit` records out of the ring of `programs`, and calls visit(record) for what
  // was made at or before `until`, oldest first; true if there may be more in the ring.
  template <typename Visitor>
  bool read(BpfWatchPrograms& programs, Nanoseconds until, std::size_t limit, Visitor visit) {
    const bool emptied = programs.read([&](std::span<const std::byte> record) {
      insert(record);
      return --limit != 0;
    });
    for (; !queue_.empty() && queue_.front().time <= until; queue_.pop_front())
      visit(std::span<const std::byte>(queue_.front().bytes));
    return !emptied;
  }

 private:
  struct Queued {
    Nanoseconds time;
    std::vector<std::byte> bytes;
  };

  void insert(std::span<const std::byte> record) {
    const auto time = time_of_bpf_record(record);
    if (!time) return;
    const auto place = std::ranges::upper_bound(queue_, *time, {}, &Queued::time);
    queue_.insert(place, {*time, {record.begin(), record.end()}});
  }

  std::deque<Queued> queue_;  // out of the ring, by time
};

}  // namespace trapline::linux_port
