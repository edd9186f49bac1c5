// For how long online CPUs were not watched, added up from what a collector tells of its CPUs.
// Pure.
#pragma once

#include <cstdint>
#include <map>

#include "ports/linux/collector.h"
#include "trapline/base/units.h"

namespace trapline::command {

class CpuGaps {
 public:
  // Returns whether hits may have been missed up to this event.
  bool add(const linux_port::CpuEvent& event);

  // Hits are being missed: a CPU is online and not watched.
  [[nodiscard]] bool is_open() const { return !unwatched_since_.empty(); }
  // The gaps of all CPUs, those that are still open up to `now`. An upper bound.
  [[nodiscard]] Nanoseconds total(Nanoseconds now) const;
  // How often a CPU went offline or came online.
  [[nodiscard]] std::uint64_t changes() const { return changes_; }

 private:
  std::map<CpuId, Nanoseconds> unwatched_since_;
  Nanoseconds closed_;
  std::uint64_t changes_ = 0;
};

}  // namespace trapline::command
