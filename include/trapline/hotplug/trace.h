// What a state machine tells of its work, as it happens. Freestanding; plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "trapline/base/error.h"
#include "trapline/base/units.h"
#include "trapline/hotplug/state.h"

namespace trapline::hotplug {

struct TraceEvent {
  enum class Kind : std::uint8_t {
    enter,             // a callback is about to run: cpu, state, name, direction, instance
    exit,              // it returned: also result, duration; without an enter: an injected failure
    transition_begin,  // a CPU starts to walk from state `from` to state `state`
    transition_end,    // it arrived at state `state`: result, duration; after an error, `state` is
                       // where the rollback left it
    hung,              // a callback runs longer than the limit given to check_hung: duration so far
  };
  Kind kind{};
  CpuId cpu;
  StateNumber state;
  StateNumber from{};       // of a transition
  std::string_view name{};  // of the state
  Direction direction = Direction::startup;
  const Instance* instance = nullptr;
  bool cpu_is_lost = false;
  std::optional<Error> error = std::nullopt;
  Nanoseconds duration{};
};

// Called in the context that runs the callback (hotplug thread, controlling thread), with the
// machine's locks held: it may not call the machine, nor block for long. `hung` comes from whoever
// calls check_hung, without a lock and beside any other event.
class Tracer {
 public:
  Tracer() = default;
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;
  virtual void on_trace(const TraceEvent& event) = 0;

 protected:
  ~Tracer() = default;
};

}  // namespace trapline::hotplug
