// When a CPU began to run something, told by the kernel itself.
//
// User space hears of a CPU only after it is online. But each CPU has a kernel thread that walks it
// through its own hotplug states ("cpuhp/N", kernel/cpu.c), the first to run on it and before any
// task of a user may; and an event of a thread, unlike one of a CPU, outlives the CPU being
// offline. So an event that counts nothing and records the switches of that thread tells when the
// CPU's life began. One thread at a time.
#pragma once

#include <map>
#include <optional>

#include "ports/linux/perf_event.h"
#include "ports/linux/perf_ring.h"
#include "trapline/base/cpu_set.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

class PerfCpuBirths {
 public:
  // Follows those of the CPUs that have been online since the machine started: others have no such
  // thread yet. Needs CAP_PERFMON; follows none without.
  explicit PerfCpuBirths(const CpuSet& cpus);

  // Of the moments (CLOCK_MONOTONIC) at which the CPU's thread began to run, the first after
  // `not_online_yet`: when the CPU's life began, or earlier, if that moment was before it was taken
  // down; never later. What was recorded up to this call is forgotten. nullopt: not known.
  [[nodiscard]] std::optional<Nanoseconds> first_after(CpuId cpu, Nanoseconds not_online_yet);

 private:
  struct Follower {
    PerfEvent event;
    PerfRing ring;
  };
  void follow(CpuId cpu, ThreadId thread);

  std::map<CpuId, Follower> followers_;
};

}  // namespace trapline::linux_port
