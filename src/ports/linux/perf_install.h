// Installing a watch through perf: which events this system allows, and on which CPUs.
#pragma once

#include "base/failure.h"
#include "ports/linux/collector.h"
#include "ports/linux/perf_event_set.h"
#include "ports/linux/perf_records.h"
#include "ports/linux/perf_ring_set.h"
#include "ports/linux/perf_twin_filter.h"
#include "trapline/watch/plan.h"

namespace trapline::linux_port {

struct PerfInstallation {
  PerfEventSet events;
  PerfRingSet rings;
  PerfTwinFilter filter;
  SampleLayout layout;
  bool filter_by_process = false;  // samples of other processes may come: they are not asked for
  InstallReport report;
};

// All or nothing. Errors: as Collector::install.
[[nodiscard]] Result<PerfInstallation> install_perf(const TargetScope& scope, const Plan& plan,
                                                    const CollectorOptions& options);

}  // namespace trapline::linux_port
