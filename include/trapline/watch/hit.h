// One access that was caught. Freestanding; a plain value that borrows its stack.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "trapline/base/access.h"
#include "trapline/base/address.h"
#include "trapline/base/units.h"

namespace trapline {

// What is known of the watched memory at a hit.
enum class Certainty : std::uint8_t {
  unknown,      // there is no value
  approximate,  // read later, or while other threads may have written: close, not proved
  exact,
};

// Up to 8 bytes of memory as an unsigned little-endian number: the byte at the lowest address is
// the lowest.
struct MemoryValue {
  std::uint64_t bits = 0;
  Certainty certainty = Certainty::unknown;

  friend constexpr bool operator==(const MemoryValue&, const MemoryValue&) = default;
};

struct Hit {
  Nanoseconds time;  // CLOCK_MONOTONIC
  ProcessId pid;
  ThreadId tid;
  CpuId cpu;
  std::array<char, 16> comm{};  // the thread's name, NUL-padded (TASK_COMM_LEN)

  RemoteAddress address;  // what the slot that fired covers
  ByteCount length;
  Access access = Access::write;

  RemoteAddress
      trap_ip;  // where the CPU was when it trapped; see DebugArchitecture::traps_before_access
  bool in_kernel =
      false;  // the access was made by the kernel on the thread's behalf (a system call's copy)

  MemoryValue old_value;
  MemoryValue new_value;

  // User-space return addresses, innermost first, without trap_ip. Valid only while the hit is
  // being delivered.
  std::span<const RemoteAddress> callers;
};

}  // namespace trapline
