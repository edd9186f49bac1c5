// From a record of the ring to the sample a sink gets. Pure, but for the names of threads.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "ports/linux/collector.h"
#include "ports/linux/perf_records.h"
#include "trapline/base/address.h"
#include "trapline/watch/plan.h"

namespace trapline::linux_port {

// The names of threads as of the last record about them, and /proc's for those without one.
// Bounded: forgets all when it holds too many, and asks /proc again.
class PerfThreadNames {
 public:
  using Name = std::array<char, 16>;

  [[nodiscard]] const Name& of(ProcessId pid, ThreadId tid);
  void renamed(ThreadId tid, const Name& name);
  void forget(ThreadId tid) { names_.erase(tid.value); }

 private:
  void make_room();

  std::unordered_map<std::int32_t, Name> names_;
};

class PerfSampleBuilder {
 public:
  PerfSampleBuilder(const Plan& plan, const CollectorOptions& options)
      : plan_(plan), stack_(options.stack) {}

  // The result borrows `record` and is valid as long as that is unchanged. nullopt if the record's
  // address is not one of the plan's.
  [[nodiscard]] std::optional<Sample> build(const PerfSample& record,
                                            const PerfThreadNames::Name& name) const;

 private:
  Plan plan_;
  StackMode stack_;
};

}  // namespace trapline::linux_port
