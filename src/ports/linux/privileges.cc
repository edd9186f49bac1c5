#include "ports/linux/privileges.h"

#include <unistd.h>

#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {
namespace {

// perf_event_paranoid: 2 still allows user-space events on one's own processes; Debian's 3 allows
// nothing.
constexpr std::int64_t kUserSpaceOnly = 2;
// Yama: 0 as without it, 1 only descendants, 2 only with CAP_SYS_PTRACE, 3 nobody.
constexpr std::int64_t kDescendantsOnly = 1;
constexpr std::int64_t kAdminOnly = 2;

// "[none] integrity confidentiality": the one in brackets holds.
std::string chosen_in_brackets(const std::string& text) {
  const std::size_t open = text.find('[');
  const std::size_t close = text.find(']');
  if (open == std::string::npos || close == std::string::npos || close < open) return {};
  return text.substr(open + 1, close - open - 1);
}

}  // namespace

Privileges Privileges::of_this_process() {
  Privileges privileges;
  if (const auto status = read_status(ProcessId{::getpid()})) {
    privileges.effective_uid = status->effective_uid;
    privileges.effective_capabilities = status->effective_capabilities;
    privileges.seccomp_mode = status->seccomp_mode;
  }
  privileges.perf_event_paranoid = read_number("/proc/sys/kernel/perf_event_paranoid");
  privileges.ptrace_scope = read_number("/proc/sys/kernel/yama/ptrace_scope");
  if (const auto lockdown = read_file("/sys/kernel/security/lockdown")) {
    privileges.lockdown = chosen_in_brackets(*lockdown);
  }
  return privileges;
}

std::string perf_obstacle(const Privileges& privileges) {
  if (!privileges.perf_event_paranoid) {
    return "this kernel has no perf events (CONFIG_PERF_EVENTS), or /proc/sys is hidden";
  }
  if (privileges.may_always_use_perf() || *privileges.perf_event_paranoid <= kUserSpaceOnly)
    return {};
  return paranoid_obstacle(*privileges.perf_event_paranoid);
}

std::string paranoid_obstacle(std::int64_t paranoid) {
  return "kernel.perf_event_paranoid is " + std::to_string(paranoid) +
         ", which forbids perf events without CAP_PERFMON. Run as root, or: sysctl "
         "kernel.perf_event_paranoid=2 (enough for one's own processes)";
}

std::string ptrace_obstacle(const Privileges& privileges) {
  if (!privileges.ptrace_scope || *privileges.ptrace_scope < kDescendantsOnly) return {};
  const bool is_admin = privileges.has(Capability::sys_ptrace);
  const std::string setting =
      "kernel.yama.ptrace_scope is " + std::to_string(*privileges.ptrace_scope);
  if (*privileges.ptrace_scope > kAdminOnly)
    return setting + ", which forbids ptrace to everybody until a reboot";
  if (is_admin) return {};
  if (*privileges.ptrace_scope == kAdminOnly) {
    return setting +
           ", which forbids ptrace without CAP_SYS_PTRACE. Run as root, or: sysctl "
           "kernel.yama.ptrace_scope=0";
  }
  return setting +
         ", which allows -- CMD but not -p PID. Run as root, or: sysctl kernel.yama.ptrace_scope=0";
}

}  // namespace trapline::linux_port
