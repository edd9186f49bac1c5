// The collector whose work at a hit is done by BPF programs, in the kernel.
//
// One event per thread and slot, on any CPU, inherited by the threads that start later; one ring
// for all. Values are read at the trap. Needs CAP_BPF and CAP_PERFMON, BTF
// (CONFIG_DEBUG_INFO_BTF), Linux 5.15, and an architecture on which programs on breakpoints are
// known to be safe.
#pragma once

#include <memory>

#include "ports/linux/collector.h"

namespace trapline::linux_port {

// install() also fails with not_supported for StackMode::dwarf.
[[nodiscard]] std::unique_ptr<Collector> make_bpf_collector();

// From now on all that libbpf warns of goes to standard error, for the whole process: with it the
// verifier's reasons for programs that the kernel refuses.
void print_bpf_messages();

}  // namespace trapline::linux_port
