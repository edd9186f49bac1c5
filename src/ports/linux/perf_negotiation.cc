#include "ports/linux/perf_negotiation.h"

#include <sys/resource.h>

#include <cerrno>
#include <utility>

#include "ports/linux/perf_arch.h"
#include "ports/linux/proc_fs.h"
#include "ports/linux/self_test.h"

namespace trapline::linux_port {
namespace {

// Opens and closes one event with less and less asked for, until the system agrees.
std::expected<PerfEventOptions, int> negotiate_with(PerfEventOptions options,
                                                    const SlotRequest& slot, ThreadId tid,
                                                    std::optional<CpuId> cpu) {
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

}  // namespace

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur < limit.rlim_max) {
    const rlim_t before = std::exchange(limit.rlim_cur, limit.rlim_max);
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
  }
  return limit.rlim_cur;
}

Result<std::vector<ThreadId>> threads_in(const TargetScope& scope) {
  if (scope.only_thread) return std::vector<ThreadId>{*scope.only_thread};
  return list_threads(scope.pid);
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

Result<PerfEventOptions> negotiate(const std::vector<ThreadId>& threads,
                                   const PerfEventOptions& wanted, const TargetScope& scope,
                                   const Plan& plan, std::optional<CpuId> cpu) {
  int error = ESRCH;
  ThreadId asked;
  for (const ThreadId tid : threads) {
    const auto options = negotiate_with(wanted, plan.slots().front(), tid, cpu);
    if (options) return *options;
    error = options.error();
    asked = tid;
    if (error != ESRCH) break;
  }
  return std::unexpected(explain_thread_error(scope, plan, asked, {error, 0}));
}

Failure explain_thread_error(const TargetScope& scope, const Plan& plan, ThreadId tid,
                             const SlotOpenError& error) {
  return explain_open_error(error.error, OpenContext{.pid = scope.pid,
                                                     .tid = tid,
                                                     .slot = plan.slots()[error.slot],
                                                     .slots = plan.slots().size(),
                                                     .paranoid = perf_event_paranoid(),
                                                     .perf_works_on_oneself = true});
}

void add_negotiation_notes(const PerfEventOptions& options, const TargetScope& scope,
                           std::vector<std::string>& notes) {
  if (!native_perf_architecture().sees_system_calls) {
    notes.emplace_back(
        "accesses made by system calls (read(2) into the variable, say) are not seen: this "
        "architecture's kernels report no access of their own to an address of a program");
  } else if (!options.kernel_accesses) {
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

void add_access_notes(Access wanted, std::vector<std::string>& notes) {
  if (perf_access(wanted) != wanted) {
    const bool is_write = wanted == Access::write;
    notes.push_back(
        std::string("this kernel's perf cannot tell reads from writes: both are watched (rw), and "
                    "what only ") +
        (is_write ? "reads" : "writes") +
        ", as its instruction tells, is left out and counted as filtered");
  }
  if (const std::string drawback = perf_drawback(); !drawback.empty())
    notes.push_back("use --collector ptrace if you can: " + drawback);
}

}  // namespace trapline::linux_port
