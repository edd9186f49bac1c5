// A collector that watches a whole machine: whatever runs on any CPU, through CPU hotplug.
//
// Needs CAP_PERFMON, or kernel.perf_event_paranoid <= 0 for addresses of user space; a kernel
// address needs CAP_SYS_ADMIN (kernel/events/hw_breakpoint.c).
#pragma once

#include "ports/linux/collector.h"

namespace trapline::linux_port {

// install() ignores all of its scope but that it is the whole machine (TargetScope::whole_machine).
// Its plan may be empty: then only processes and CPUs are followed, until add().
class MachineCollector : public Collector {
 public:
  // Sets one more plan everywhere, beside the first. All or nothing. Errors: as install.
  [[nodiscard]] virtual Result<void> add(const Plan& plan) = 0;
  // Takes a plan back that was installed or added: its debug registers are free, and what it hit
  // until now is still delivered. Without effect for another.
  virtual void remove(const Plan& plan) = 0;
};

// What the collectors of perf events have in common, beside PerfSessionCollector: `Base` is that of
// a session that also has add(plan) and remove(plan).
template <typename Base>
class MachineSessionCollector : public Base {
 public:
  [[nodiscard]] Result<void> add(const Plan& plan) override {
    if (!this->session_)
      return fail(ErrorCode::wrong_state, "install the first plan before others");
    return this->session_->add(plan);
  }
  void remove(const Plan& plan) override {
    if (this->session_) this->session_->remove(plan);
  }
};

}  // namespace trapline::linux_port
