// For the tests of this folder: a report kept in memory, and hits to fill it with.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "report/output.h"
#include "report/reporter.h"

namespace trapline::report {

// An anonymous file that an Output writes to.
class MemoryFile {
 public:
  MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile();

  [[nodiscard]] int descriptor() const { return descriptor_; }
  // What was flushed so far.
  [[nodiscard]] std::string text() const;

 private:
  int descriptor_;
};

// A name padded to a thread's.
void set_comm(Hit& hit, std::string_view name);

// A hit with what it borrows, to be changed field by field: counter, an int at 0x404060, goes from
// 41 to 42 in bump(), called by worker(). Time 1.5 s, pid 10, tid 11, CPU 1.
struct SampleHit {
  SampleHit();
  [[nodiscard]] HitView view() const { return {hit, ip, instruction, stack}; }

  Hit hit;
  std::optional<RemoteAddress> ip;
  std::string instruction;
  ResolvedStack stack;
};

// The watch that finds it: began at 1 s, on CPUs 0 and 1.
[[nodiscard]] WatchStart sample_start();
// CPU 1 goes offline at 1.6 s; comes online at 1.7 s with a gap of 0.812 ms; is online at 1.7 s and
// cannot be watched.
[[nodiscard]] CpuEventView sample_offline();
[[nodiscard]] CpuEventView sample_online();
[[nodiscard]] CpuEventView sample_unwatched();
// 100 hits in one second.
[[nodiscard]] WatchEnd sample_end();

}  // namespace trapline::report
