// The collector of the whole machine whose work at a hit is done by BPF programs: on the events
// that MachineWatch keeps on every CPU, and on what happens to all tasks.
//
// Needs what bpf_collector.h names.
#pragma once

#include <memory>

#include "ports/linux/machine_collector.h"

namespace trapline::linux_port {

// install() also fails with not_supported for StackMode::dwarf, and for an empty plan where newly
// mapped code cannot be seen (fentry). Plans are all of user space or all
// of the kernel; an empty first one means user space.
[[nodiscard]] std::unique_ptr<MachineCollector> make_bpf_machine_collector();

}  // namespace trapline::linux_port
