// A watch of one's own memory: what the machine can watch is tried with it, and the self-tests of
// the collectors on perf events begin with it.
#pragma once

#include <expected>

#include "base/failure.h"
#include "ports/linux/perf_event.h"
#include "trapline/watch/plan.h"

namespace trapline::linux_port {

// An event of this thread, on any CPU, not enabled. The error is an errno.
[[nodiscard]] std::expected<PerfEvent, int> try_self_watch(const SlotRequest& slot);

// The same with an explanation. Errors: permission_denied, no_free_slot, not_supported.
[[nodiscard]] Result<PerfEvent> open_self_watch(const SlotRequest& slot);

// Error: os_failure.
[[nodiscard]] Result<void> enable_self_watch(const PerfEvent& event);

// The error of one that was enabled and did not fire: no_hardware.
[[nodiscard]] std::unexpected<Failure> fail_dead_registers();

}  // namespace trapline::linux_port
