// From a thread stopped at a hit to the Sample a sink is given.
//
// The tracing thread only. The thread must be in a ptrace stop during build().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "ports/linux/collector.h"
#include "ports/linux/ptrace_arch.h"
#include "ports/linux/remote_memory.h"
#include "trapline/watch/plan.h"

namespace trapline::linux_port {

// What /proc/PID/task/TID/stat says that a hit needs (proc(5), fields 2, 4 and 39).
struct ThreadStat {
  std::array<char, 16> comm{};
  ProcessId parent;
  CpuId cpu;  // where it last ran: for a stopped thread, where it stopped
};
[[nodiscard]] std::optional<ThreadStat> parse_thread_stat(std::string_view text);
[[nodiscard]] std::optional<ThreadStat> read_thread_stat(ProcessId pid, ThreadId tid);

// Return addresses, innermost first, by the chain of saved frame pointers. Bounded in length, and
// by the rule that frames lie at ascending addresses; stops at what cannot be read.
void walk_frames(MemoryReader& memory, const FrameRegisters& from,
                 std::vector<RemoteAddress>& callers);

class SampleBuilder {
 public:
  // `exact_values`: whether the memory is private to the process, so that a value read while its
  // only thread is stopped is the value the access left.
  SampleBuilder(const Plan& plan, const CollectorOptions& options, bool exact_values);

  struct Subject {
    ProcessId pid;
    ThreadId tid;
    Nanoseconds time;
    std::size_t slot = 0;  // of the plan
    bool only_thread = false;
  };
  // Borrowed: valid until the next call. nullptr when the thread was killed meanwhile, so that
  // there is nothing left to tell.
  [[nodiscard]] const Sample* build(const Subject& subject, RemoteMemory& memory);

  // What memory holds now: the hit's new value, where traps come after the access; where they come
  // before, its old value at the trap, and the new one when the instruction has run.
  [[nodiscard]] MemoryValue read_value(const Subject& subject, RemoteMemory& memory) const;

 private:
  void read_stack(const FrameRegisters& frame, RemoteMemory& memory);

  Plan plan_;
  CollectorOptions options_;
  bool exact_values_;
  Sample sample_;
  std::vector<RemoteAddress> callers_;
  std::vector<std::byte> stack_;
};

}  // namespace trapline::linux_port
