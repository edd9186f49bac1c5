// What this system lets a watch of a process ask of perf: found out by asking for less and less.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/failure.h"
#include "ports/linux/collector.h"
#include "ports/linux/perf_event.h"
#include "trapline/base/units.h"
#include "trapline/watch/plan.h"

namespace trapline::linux_port {

// Raises the soft limit of descriptors as far as anybody may; returns it.
std::size_t raise_descriptor_limit();

// The threads that are there now. Errors: no_such_process.
[[nodiscard]] Result<std::vector<ThreadId>> threads_in(const TargetScope& scope);

[[nodiscard]] PerfEventOptions wanted_options(const TargetScope& scope,
                                              const CollectorOptions& options);

// Opens and closes events of the first of `threads` that is still there, with less of what is
// `wanted` each time, until the system agrees. Errors: as explain_thread_error tells.
[[nodiscard]] Result<PerfEventOptions> negotiate(const std::vector<ThreadId>& threads,
                                                 const PerfEventOptions& wanted,
                                                 const TargetScope& scope, const Plan& plan,
                                                 std::optional<CpuId> cpu);

[[nodiscard]] Failure explain_thread_error(const TargetScope& scope, const Plan& plan, ThreadId tid,
                                           const SlotOpenError& error);

// What had to be left out, one sentence each.
void add_negotiation_notes(const PerfEventOptions& allowed, const TargetScope& scope,
                           std::vector<std::string>& notes);

// What perf does not do here as asked, for a watch of this kind.
void add_access_notes(Access wanted, std::vector<std::string>& notes);

}  // namespace trapline::linux_port
