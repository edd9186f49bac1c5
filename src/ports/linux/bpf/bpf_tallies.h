// Hits that the BPF programs count where they happen, on their way to the sink: which number a
// tally has, and how much has been told of it. Pure; one thread.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <span>
#include <unordered_set>
#include <vector>

#include "ports/linux/bpf/watch_record.h"
#include "ports/linux/collector.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

struct BpfTally {
  trapline_tally_key key;
  trapline_tally tally;
};

class BpfTallies {
 public:
  explicit BpfTallies(ValueOrder order) : order_(order) {}

  // The number under which hits like a delivered one will be told.
  [[nodiscard]] std::uint64_t open(const trapline_tally_key& key);
  // The thread has ended: nothing will be added to its tallies any more.
  void thread_ended(ThreadId tid) { ended_.insert(tid.value); }

  // Tells the sink what has been counted since the last call. `tallies`: all there are, read after
  // the last thread_ended(); those that were not opened yet are left for another time. Returns the
  // keys of those that have no use any more.
  [[nodiscard]] std::vector<trapline_tally_key> tell(std::span<const BpfTally> tallies,
                                                     SampleSink& sink);

 private:
  struct ByKey {
    bool operator()(const trapline_tally_key& a, const trapline_tally_key& b) const;
  };
  struct Told {
    std::uint64_t number = 0;
    std::uint64_t count = 0;
  };

  [[nodiscard]] MemoryValue value_at(std::uint64_t place, const BpfTally& of) const;

  ValueOrder order_;
  std::map<trapline_tally_key, Told, ByKey> told_;
  std::unordered_set<std::int32_t> ended_;
  std::uint64_t last_number_ = 0;
};

}  // namespace trapline::linux_port
