// The programs that are explored: threads that use one hotplug state machine on the fake port.
//
// Each checks, at every callback and at the end, what must hold whatever the schedule: callbacks
// run one at a time, where they belong, in order; per CPU and state (or instance) startups and
// teardowns alternate; a CPU that walks has exactly the states below it; no CPU changes while a
// reader holds the lock; what an operation does is done when it returns; at the end every CPU has
// run exactly the states that exist and that it is past, and removing them undoes every one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "interleave/explorer.h"

namespace trapline::interleave {

// The states that programs use, in the order of their numbers. `multi` has instances.
enum class State : std::uint8_t { prepare, starting, online, multi, dynamic };
inline constexpr std::size_t kStateCount = 5;
inline constexpr std::size_t kInstanceCount = 3;
inline constexpr std::uint32_t kCpuLimit = 3;
[[nodiscard]] std::string_view name_of(State state);

// One call of a thread.
struct Action {
  enum class Kind : std::uint8_t {
    setup,   // state
    remove,  // state
    add,     // instance
    drop,    // instance
    up,      // cpu
    down,    // cpu
    rest,    // cpu, state: set_target
    read,    // the online CPUs, under the read lock
  };
  Kind kind{};
  State state{};
  std::uint32_t cpu = 0;
  std::size_t instance = 0;
};

[[nodiscard]] std::string text_of(const Action& action);

// A callback that always fails.
struct Failure {
  State state{};
  std::uint32_t cpu = 0;
  bool in_startup = true;
  std::optional<std::size_t> instance = std::nullopt;
};

struct Scenario {
  std::string_view name;
  std::uint32_t cpu_count = 2;
  std::vector<std::uint32_t> online{};  // at the start
  std::vector<State> states{};          // likewise
  std::size_t instances = 0;            // likewise, of `multi`
  std::vector<std::vector<Action>> threads{};
  std::optional<Failure> failure = std::nullopt;
  std::optional<unsigned> preemptions = std::nullopt;  // instead of the usual bound
};

// How many preemptions a scenario is explored with. One more makes ten times the schedules; the
// bounds keep all scenarios together below a minute.
[[nodiscard]] unsigned bound_of(const Scenario& scenario);

[[nodiscard]] const std::vector<Scenario>& scenarios();
[[nodiscard]] std::unique_ptr<Program> make_program(const Scenario& scenario);

}  // namespace trapline::interleave
