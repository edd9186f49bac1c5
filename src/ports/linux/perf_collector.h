// The collector that reads hits from perf's ring buffers.
//
// One event per thread, possible CPU and slot, inherited by the threads that start later; one ring
// per CPU. Needs kernel.perf_event_paranoid <= 2 and a target of the same user, or CAP_PERFMON.
#pragma once

#include <memory>

#include "ports/linux/collector.h"

namespace trapline::linux_port {

[[nodiscard]] std::unique_ptr<Collector> make_perf_collector();

}  // namespace trapline::linux_port
