// The problem that Trapline began with, as a program to explore.
#pragma once

#include <cstdint>
#include <memory>

#include "interleave/explorer.h"

namespace trapline::interleave {

// A driver resets every CPU's debug registers in a hotplug
// state's startup, which notes the CPUs that failed in a mask; looks at the mask; and if a CPU
// failed, gives up and removes the state without calling back. Meanwhile a CPU comes online. It is
// a violation if that CPU was reset after the look by the state that is then removed.
enum class Form : std::uint8_t {
  under_read_lock,  // the _cpuslocked calls, all of it under one read lock
  plain,            // each call takes the lock by itself
};
[[nodiscard]] std::unique_ptr<Program> make_founding_race(Form form);

}  // namespace trapline::interleave
