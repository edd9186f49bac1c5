#include "ports/linux/perf_install.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "ports/linux/perf_arch.h"
#include "ports/linux/perf_attach.h"
#include "ports/linux/perf_event.h"
#include "ports/linux/perf_negotiation.h"
#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {
namespace {

// For everything else that this process has open, and threads that turn up during the attach.
constexpr std::size_t kSpareDescriptors = 128;

struct CpuChoice {
  CpuSet set;
  std::vector<std::string> notes;
};

// All CPUs there can ever be, since an event opened for an offline one works once it is back; only
// those that are online if there are too few descriptors for more.
Result<CpuChoice> choose_cpus(std::size_t threads, std::size_t slots) {
  auto possible = possible_cpus();
  if (!possible) return std::unexpected(std::move(possible.error()));
  const std::size_t available = raise_descriptor_limit();
  const std::size_t needed = threads * slots * possible->count() + kSpareDescriptors;
  if (needed <= available) return CpuChoice{*possible, {}};
  auto online = online_cpus();
  if (!online) return std::unexpected(std::move(online.error()));
  if (*online == *possible) return CpuChoice{*possible, {}};
  return CpuChoice{*online,
                   {"CPUs that are offline now will not be watched when they come online: that "
                    "would take " +
                    std::to_string(needed) + " descriptors, and the limit is " +
                    std::to_string(available) + " (ulimit -Hn)"}};
}

}  // namespace

Result<PerfInstallation> install_perf(const TargetScope& scope, const Plan& plan,
                                      const CollectorOptions& options) {
  const std::size_t slots = plan.slots().size();
  if (slots == 0)
    return fail(ErrorCode::empty_range, "there is nothing to watch: ask for at least one byte");

  auto threads = threads_in(scope);
  if (!threads) return std::unexpected(std::move(threads.error()));
  auto cpus = choose_cpus(threads->size(), slots);
  if (!cpus) return std::unexpected(std::move(cpus.error()));
  auto rings = PerfCpuRings::create(cpus->set, options.ring_bytes);
  if (!rings) return std::unexpected(std::move(rings.error()));
  const auto allowed =
      negotiate(*threads, wanted_options(scope, options), scope, plan, rings->cpus().front());
  if (!allowed) return std::unexpected(allowed.error());

  PerfEventOptions events = *allowed;
  events.reports_tasks = true;
  std::vector<perf_event_attr> attributes = breakpoint_attributes(plan, events);
  const SampleLayout layout = layout_of(attributes.front());
  PerfInstallation made{.events = PerfEventSet(*std::move(rings)),
                        .rings = PerfRingSet(layout),
                        .filter = {},
                        .layout = layout,
                        .filter_by_process = !allowed->has_inherit_thread && !scope.follow_children,
                        .report = {}};
  made.events.set_attributes(std::move(attributes));
  for (PerfRing& ring : made.events.rings().rings()) made.rings.add(ring.reader());

  auto attached = attach_threads(scope, made.events, made.rings, made.filter,
                                 [&](ThreadId tid, const SlotOpenError& error) {
                                   return explain_thread_error(scope, plan, tid, error);
                                 });
  if (!attached) return std::unexpected(std::move(attached.error()));

  made.report = {.cpus = cpus->set,
                 .threads = attached->threads,
                 .slots = slots,
                 .sees_kernel_accesses =
                     allowed->kernel_accesses && native_perf_architecture().sees_system_calls,
                 .notes = std::move(cpus->notes)};
  add_negotiation_notes(*allowed, scope, made.report.notes);
  add_access_notes(plan.slots().front().access, made.report.notes);
  std::move(attached->notes.begin(), attached->notes.end(), std::back_inserter(made.report.notes));
  return made;
}

}  // namespace trapline::linux_port
