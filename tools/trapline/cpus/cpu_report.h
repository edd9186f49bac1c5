// What `trapline cpus` prints of a CPU: as a line of a table, and as one JSON object per line
// (docs/cpus.md). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "trapline/base/error.h"
#include "trapline/base/units.h"

namespace trapline::command {

// A state machine's: the kernel's, or that of Trapline, which runs its own states for each CPU.
struct CpuState {
  int number = 0;
  std::string name;  // "": it has none
};

// A CPU's walk through Trapline's states.
struct CpuTransition {
  Nanoseconds time;  // CLOCK_MONOTONIC, when it ended
  Nanoseconds duration;
  std::optional<Error> error = std::nullopt;
};

struct CpuFacts {
  CpuId cpu;
  bool is_online = false;
  std::optional<CpuState> kernel_state;  // nullopt: the kernel does not tell
  CpuState state;                        // Trapline's
  std::optional<CpuTransition> transition;
};

// All CPUs, with a line of headings. `now`: CLOCK_MONOTONIC.
[[nodiscard]] std::string to_table(std::span<const CpuFacts> cpus, Nanoseconds now);
// A change; times count from `began`.
[[nodiscard]] std::string to_line(const CpuFacts& cpu, Nanoseconds began);
// {"type":"cpu_state",...}
[[nodiscard]] std::string to_json_line(const CpuFacts& cpu);

}  // namespace trapline::command
