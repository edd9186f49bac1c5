#include "ports/linux/perf_install.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "ports/linux/perf_attach.h"
#include "ports/linux/perf_event.h"
#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {
namespace {

// For everything else that this process has open, and threads that turn up during the attach.
constexpr std::size_t kSpareDescriptors = 128;

// Raises the soft limit as far as anybody may; returns it.
std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur < limit.rlim_max) {
    const rlim_t before = std::exchange(limit.rlim_cur, limit.rlim_max);
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
  }
  return limit.rlim_cur;
}

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

Failure explain(const TargetScope& scope, const Plan& plan, ThreadId tid, int error,
                std::size_t slot) {
  return explain_open_error(error, OpenContext{.pid = scope.pid,
                                               .tid = tid,
                                               .slot = plan.slots()[slot],
                                               .slots = plan.slots().size(),
                                               .paranoid = perf_event_paranoid(),
                                               .perf_works_on_oneself = true});
}

PerfEventOptions wanted_options(const TargetScope& scope, const CollectorOptions& options) {
  PerfEventOptions wanted;
  wanted.inheritance = scope.only_thread       ? Inheritance::none
                       : scope.follow_children ? Inheritance::threads_and_processes
                                               : Inheritance::threads;
  wanted.stack = options.stack;
  wanted.registers = options.registers;
  wanted.dwarf_stack_bytes = options.dwarf_stack_bytes;
  return wanted;
}

// Opens and closes one event with less and less asked for, until the system agrees.
std::expected<PerfEventOptions, int> negotiate(PerfEventOptions options, const SlotRequest& slot,
                                               ThreadId tid, CpuId cpu) {
  while (true) {
    const auto event = PerfEvent::open(breakpoint_attributes(slot, options), tid, cpu);
    if (event) return options;
    const int error = event.error();
    if ((error == EACCES || error == EPERM) && options.kernel_accesses) {
      options.kernel_accesses = false;
    } else if ((error == EINVAL || error == E2BIG) && options.has_inherit_thread) {
      options.has_inherit_thread = false;
    } else {
      return std::unexpected(error);
    }
  }
}

// Asks on behalf of the first thread that is still there.
Result<PerfEventOptions> negotiate_with(const std::vector<ThreadId>& threads,
                                        const PerfEventOptions& wanted, const TargetScope& scope,
                                        const Plan& plan, CpuId cpu) {
  int error = ESRCH;
  ThreadId asked;
  for (const ThreadId tid : threads) {
    const auto options = negotiate(wanted, plan.slots().front(), tid, cpu);
    if (options) return *options;
    error = options.error();
    asked = tid;
    if (error != ESRCH) break;
  }
  return std::unexpected(explain(scope, plan, asked, error, 0));
}

std::vector<perf_event_attr> attributes_of(const Plan& plan, PerfEventOptions options) {
  std::vector<perf_event_attr> attributes;
  attributes.reserve(plan.slots().size());
  for (const SlotRequest& slot : plan.slots()) {
    // Every event that asks gets its own copy of these records; one per thread and CPU is right.
    options.reports_tasks = attributes.empty();
    attributes.push_back(breakpoint_attributes(slot, options));
  }
  return attributes;
}

void add_notes(const PerfEventOptions& options, const TargetScope& scope,
               std::vector<std::string>& notes) {
  if (!options.kernel_accesses) {
    notes.emplace_back(
        "accesses made by system calls (read(2) into the variable, say) are not seen: "
        "kernel.perf_event_paranoid allows user-space events only; run as root, or: sysctl "
        "kernel.perf_event_paranoid=1");
  }
  if (!options.has_inherit_thread && !scope.only_thread) {
    notes.emplace_back(
        "this kernel, older than 5.13, sets the debug registers in child processes and executed "
        "programs too; what they do is left out here unless --children is given");
  }
}

}  // namespace

Result<PerfInstallation> install_perf(const TargetScope& scope, const Plan& plan,
                                      const CollectorOptions& options) {
  const std::size_t slots = plan.slots().size();
  if (slots == 0)
    return fail(ErrorCode::empty_range, "there is nothing to watch: ask for at least one byte");

  std::vector<ThreadId> threads;
  if (scope.only_thread) {
    threads.push_back(*scope.only_thread);
  } else {
    auto listed = list_threads(scope.pid);
    if (!listed) return std::unexpected(std::move(listed.error()));
    threads = *std::move(listed);
  }
  auto cpus = choose_cpus(threads.size(), slots);
  if (!cpus) return std::unexpected(std::move(cpus.error()));
  auto rings = PerfCpuRings::create(cpus->set, options.ring_bytes);
  if (!rings) return std::unexpected(std::move(rings.error()));
  const auto allowed =
      negotiate_with(threads, wanted_options(scope, options), scope, plan, rings->cpus().front());
  if (!allowed) return std::unexpected(allowed.error());

  std::vector<perf_event_attr> attributes = attributes_of(plan, *allowed);
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
                                 [&](ThreadId tid, const PerfEventSet::OpenError& error) {
                                   return explain(scope, plan, tid, error.error, error.slot);
                                 });
  if (!attached) return std::unexpected(std::move(attached.error()));

  made.report = {.cpus = cpus->set,
                 .threads = attached->threads,
                 .slots = slots,
                 .sees_kernel_accesses = allowed->kernel_accesses,
                 .notes = std::move(cpus->notes)};
  add_notes(*allowed, scope, made.report.notes);
  std::move(attached->notes.begin(), attached->notes.end(), std::back_inserter(made.report.notes));
  return made;
}

}  // namespace trapline::linux_port
