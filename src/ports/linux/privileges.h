// What this process is allowed to do, and the settings that decide it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "trapline/base/units.h"

namespace trapline::linux_port {

// Numbers of capabilities(7) as in linux/capability.h.
enum class Capability : std::uint8_t { sys_ptrace = 19, sys_admin = 21, perfmon = 38 };

struct Privileges {
  std::uint32_t effective_uid = 0;
  std::uint64_t effective_capabilities = 0;
  int seccomp_mode = 0;  // 2: a filter, as containers install
  std::optional<std::int64_t> perf_event_paranoid;
  std::optional<std::int64_t> ptrace_scope;  // none: no Yama
  std::string lockdown;  // "none", "integrity", "confidentiality"; "" if the kernel has none

  [[nodiscard]] bool has(Capability capability) const {
    return (effective_capabilities >> static_cast<unsigned>(capability) & 1) != 0;
  }
  // perf_event_paranoid does not bind those who have one of these (kernel/events/core.c,
  // perfmon_capable).
  [[nodiscard]] bool may_always_use_perf() const {
    return has(Capability::perfmon) || has(Capability::sys_admin);
  }

  [[nodiscard]] static Privileges of_this_process();
};

// Why a collector is refused to this user and the command that changes it; "" if nothing is in the
// way.
[[nodiscard]] std::string perf_obstacle(const Privileges& privileges);
// The part of it that a kernel.perf_event_paranoid above 2 is to blame for.
[[nodiscard]] std::string paranoid_obstacle(std::int64_t paranoid);
[[nodiscard]] std::string ptrace_obstacle(const Privileges& privileges);

}  // namespace trapline::linux_port
