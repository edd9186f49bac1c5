// The collector that watches a whole machine: whatever runs on any CPU, through CPU hotplug.
//
// One breakpoint event per CPU and slot, opened and closed by the callbacks of a CPU hotplug state,
// one ring per possible CPU. Needs CAP_PERFMON, or kernel.perf_event_paranoid <= 0 for addresses of
// user space; a kernel address needs CAP_SYS_ADMIN (kernel/events/hw_breakpoint.c).
#pragma once

#include <memory>

#include "ports/linux/collector.h"

namespace trapline::linux_port {

class MachineCollector : public Collector {
 public:
  // Sets one more plan everywhere, beside the first. All or nothing. Errors: as install.
  [[nodiscard]] virtual Result<void> add(const Plan& plan) = 0;
  // Takes a plan back that was installed or added: its debug registers are free, and what it hit
  // until now is still delivered. Without effect for another.
  virtual void remove(const Plan& plan) = 0;
};

// install() ignores all of its scope but that it is the whole machine (TargetScope::whole_machine).
// Its plan may be empty: then only processes and CPUs are followed, until add().
[[nodiscard]] std::unique_ptr<MachineCollector> make_perf_machine_collector();

}  // namespace trapline::linux_port
