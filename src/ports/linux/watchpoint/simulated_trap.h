// For tests: a perf event's SIGTRAP without the event, where debug registers never fire. A thread
// may queue to itself what only the kernel sends others.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ports/linux/fault/perf_trap.h"

namespace trapline::linux_port::testing {

inline void raise_perf_trap(std::uint64_t data, bool is_late = false) {
  siginfo_t info{};
  info.si_signo = SIGTRAP;
  info.si_code = kPerfTrapCode;
  auto* const fields = reinterpret_cast<std::byte*>(&info) + offsetof(siginfo_t, si_addr) + 8;
  const std::uint32_t flags = is_late ? 1 : 0;
  std::memcpy(fields, &data, sizeof data);
  std::memcpy(fields + 12, &flags, sizeof flags);
  ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), ::gettid(), SIGTRAP, &info);
}

}  // namespace trapline::linux_port::testing
