// Hits counted by stack: what --summary shows. Pure; memory is bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <unordered_map>
#include <vector>

#include "report/reporter.h"
#include "symbols/symbolizer.h"
#include "symbols/value_type.h"
#include "trapline/base/cpu_set.h"
#include "trapline/base/units.h"
#include "trapline/watch/hit.h"
#include "trapline/watch/request.h"

namespace trapline::report {

// Distinct threads, as far as they are counted.
class ThreadCount {
 public:
  static constexpr std::size_t kLimit = 256;

  void add(ThreadId tid);
  [[nodiscard]] std::size_t count() const { return seen_.size(); }
  // There may be more than count().
  [[nodiscard]] bool is_full() const { return seen_.size() >= kLimit; }

 private:
  std::vector<std::int32_t> seen_;  // sorted
};

// The smallest and largest new value. Bytes and NaN have no order and are passed over.
class ValueRange {
 public:
  void add(const MemoryValue& value, const symbols::ValueType& type, ByteCount length);
  // `unknown` if there was none; approximate if read so.
  [[nodiscard]] const MemoryValue& lowest() const { return lowest_; }
  [[nodiscard]] const MemoryValue& highest() const { return highest_; }

 private:
  MemoryValue lowest_;
  MemoryValue highest_;
};

struct SummaryRow {
  std::uint64_t count = 0;
  // The earliest and the latest hit's time.
  Nanoseconds first{std::numeric_limits<std::uint64_t>::max()};
  Nanoseconds last{};
  ThreadCount threads;
  CpuSet cpus;
  ValueRange values;
  std::string instruction;  // "" if unknown
  AccessPlace place;
  std::vector<symbols::Frame> frames;
};

class SummaryTable {
 public:
  explicit SummaryTable(std::size_t limit) : limit_(limit) {}

  // How the values of hits are to be read.
  void describe(const Request& watch, const symbols::ValueType& type);
  void add(const HitView& view);
  // What comes under the hit's number is of its stack and thread. The hit itself is not counted.
  void open_tally(const HitView& view);
  void add(const TallyView& tally);

  // By count, the highest first; equal ones by their first hit. Valid until something is added.
  [[nodiscard]] std::vector<const SummaryRow*> by_count() const;
  // Hits with stacks that came when the table was full.
  [[nodiscard]] std::uint64_t others() const { return others_; }
  // All hits.
  [[nodiscard]] std::uint64_t total() const { return total_; }
  [[nodiscard]] std::size_t limit() const { return limit_; }

 private:
  // nullptr if the table is full.
  SummaryRow* row_of(const HitView& view);

  std::size_t limit_;
  Request watch_;
  symbols::ValueType type_;
  // By the stack's addresses: ids change when the table of stacks starts afresh, addresses do not.
  std::unordered_map<std::string, SummaryRow> rows_;
  // A shortcut, bounded: by stack id; nullptr for the stacks that found no room.
  std::unordered_map<std::uint64_t, SummaryRow*> rows_by_id_;
  // The row of each tally that goes on, nullptr as above, and what the tally does not say.
  struct TalliedRow {
    SummaryRow* row = nullptr;
    ThreadId tid;
    ByteCount length;  // of its values
  };
  std::unordered_map<std::uint64_t, TalliedRow> rows_by_tally_;
  std::uint64_t others_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace trapline::report
