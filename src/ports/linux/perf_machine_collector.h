// The collector of the whole machine through perf: the events that MachineWatch keeps on every CPU
// write into one ring per possible CPU.
#pragma once

#include <memory>

#include "ports/linux/machine_collector.h"

namespace trapline::linux_port {

[[nodiscard]] std::unique_ptr<MachineCollector> make_perf_machine_collector();

}  // namespace trapline::linux_port
