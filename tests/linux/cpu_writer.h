// A program that writes its `counter` all the time, on one CPU while that is there: for tests whose
// CPUs come and go meanwhile.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/linux/child_process.h"
#include "tests/linux/watch_fixture.h"

namespace trapline::testing {

// What it remembers of a write. CLOCK_MONOTONIC, around the write; the CPU after it.
struct Write {
  std::uint64_t value = 0;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  unsigned cpu = 0;
};

class CpuWriter {
 public:
  // It runs already, and writes 1, 2, 3...
  explicit CpuWriter(unsigned cpu);

  [[nodiscard]] pid_t pid() const { return process_.pid(); }
  // Ends it: all its writes.
  [[nodiscard]] std::vector<Write> finish();

 private:
  ChildProcess process_;
};

// Of a watch on the writer alone: from the first hit on, every write is one.
void expect_none_missed(const std::vector<Write>& writes, const Watch::Result& result);

}  // namespace trapline::testing
