// What the BPF programs of a watch are told before they are loaded.
#pragma once

#include <vector>

#include "base/failure.h"
#include "ports/linux/bpf/bpf_watch_programs.h"
#include "ports/linux/bpf/watch_record.h"
#include "ports/linux/collector.h"
#include "trapline/base/units.h"
#include "trapline/watch/plan.h"

namespace trapline::linux_port {

// Whether the programs can do at all what is asked for. Errors: not_supported.
[[nodiscard]] Result<void> bpf_can_do(const CollectorOptions& options);

// For InstallReport::notes, where BpfWatchPrograms::tells_code_maps() is false.
inline constexpr const char* kNoCodeMapsNote =
    "code of libraries that are loaded from now on may come out without names: this kernel lets no "
    "program see it mapped";

// The slots of a plan. Values are of the whole watch where it fits a word, else of the slot that
// fired. Shadows are numbered by slot.
[[nodiscard]] std::vector<trapline_slot> bpf_slots_for(const Plan& plan);

// All but the slots, whom to follow and what depends on the size of the ring.
[[nodiscard]] trapline_watch_config bpf_config_for(const CollectorOptions& options);

// With one ring for all CPUs, as large as `bytes_for_each` together, or as there is memory for.
// Errors: as BpfWatchPrograms::load.
[[nodiscard]] Result<BpfWatchPrograms> load_bpf_programs(trapline_watch_config config,
                                                         ByteCount bytes_for_each);

}  // namespace trapline::linux_port
