// Who holds debug registers: tracers, and processes with open breakpoint events.
//
// The kernel lists neither. A tracer is found by TracerPid; how many registers it uses is its
// secret. A breakpoint event is found by its descriptor: a copy of it (pidfd_getfd) is asked to
// become an event of another type. The kernel answers EINVAL if the types differ and EOPNOTSUPP if
// they are the same but no breakpoint's (kernel/events/core.c, perf_event_modify_attr), and changes
// nothing in both cases; the breakpoint type itself is never asked for, because that would be
// carried out.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "trapline/base/units.h"

namespace trapline::linux_port {

struct SlotHolder {
  enum class Kind : std::uint8_t {
    tracer,             // traces a thread: may use up to all of its registers
    breakpoint_events,  // has `count` breakpoint events open, for whatever thread or CPU
    unknown_events,     // has `count` perf events; whether they are breakpoints could not be told
  };
  Kind kind{};
  ProcessId pid;
  std::string name;
  std::size_t count = 0;            // events; for a tracer, the threads it traces
  std::optional<ProcessId> traced;  // for a tracer: one of the processes it traces
};

// All holders this user may see, those that concern `target` if one is given: its tracers, and
// every process with events (whose target the kernel does not tell). This process itself is left
// out. Reads /proc: some milliseconds for some hundred processes.
[[nodiscard]] std::vector<SlotHolder> find_slot_holders(std::optional<ProcessId> target);

// "gdb (pid 812) traces pid 810; perf (pid 900) has 1 breakpoint event open"; "" if there are none.
[[nodiscard]] std::string describe_holders(std::span<const SlotHolder> holders);

}  // namespace trapline::linux_port
