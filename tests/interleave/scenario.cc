#include "interleave/scenario.h"

#include <array>
#include <string>

namespace trapline::interleave {
namespace {

constexpr Action setup(State state) {
  return {.kind = Action::Kind::setup, .state = state};
}
constexpr Action remove(State state) {
  return {.kind = Action::Kind::remove, .state = state};
}
constexpr Action add(std::size_t instance) {
  return {.kind = Action::Kind::add, .instance = instance};
}
constexpr Action drop(std::size_t instance) {
  return {.kind = Action::Kind::drop, .instance = instance};
}
constexpr Action up(std::uint32_t cpu) {
  return {.kind = Action::Kind::up, .cpu = cpu};
}
constexpr Action down(std::uint32_t cpu) {
  return {.kind = Action::Kind::down, .cpu = cpu};
}
constexpr Action rest(std::uint32_t cpu, State state) {
  return {.kind = Action::Kind::rest, .state = state, .cpu = cpu};
}
constexpr Action read() {
  return {.kind = Action::Kind::read};
}

}  // namespace

std::string_view name_of(State state) {
  static constexpr std::array<std::string_view, kStateCount> kNames{"prepare", "starting", "online",
                                                                    "multi", "dynamic"};
  return kNames[static_cast<std::size_t>(state)];
}

unsigned bound_of(const Scenario& scenario) {
  const std::size_t threads = scenario.threads.size();
  return scenario.preemptions.value_or(threads == 2 ? 5U : threads == 3 ? 4U : 3U);
}

std::string text_of(const Action& action) {
  const std::string state(name_of(action.state));
  const std::string cpu = std::to_string(action.cpu);
  const std::string instance = std::to_string(action.instance);
  switch (action.kind) {
    case Action::Kind::setup:
      return "setup(" + state + ")";
    case Action::Kind::remove:
      return "remove(" + state + ")";
    case Action::Kind::add:
      return "add(" + instance + ")";
    case Action::Kind::drop:
      return "drop(" + instance + ")";
    case Action::Kind::up:
      return "up(" + cpu + ")";
    case Action::Kind::down:
      return "down(" + cpu + ")";
    case Action::Kind::rest:
      return "rest(" + cpu + ", " + state + ")";
    case Action::Kind::read:
      return "read()";
  }
  return "?";
}

const std::vector<Scenario>& scenarios() {
  using enum State;
  static const std::vector<Scenario> table{
      // Two threads, two CPUs.
      {.name = "SetupAndCpuUp",
       .online = {0},
       .states = {online},
       .threads = {{setup(dynamic)}, {up(1)}}},
      {.name = "SetupAndCpuDown",
       .online = {0, 1},
       .states = {online},
       .threads = {{setup(dynamic)}, {down(1)}}},
      {.name = "PrepareSetupAndCpuUp", .online = {0}, .threads = {{setup(prepare)}, {up(1)}}},
      {.name = "StartingSetupAndCpuDown",
       .online = {0, 1},
       .threads = {{setup(starting)}, {down(1)}}},
      {.name = "RemoveAndCpuUp",
       .online = {0},
       .states = {online},
       .threads = {{remove(online)}, {up(1)}}},
      {.name = "RemoveAndCpuDown",
       .online = {0, 1},
       .states = {online},
       .threads = {{remove(online)}, {down(1)}}},
      {.name = "AddAndCpuUp",
       .online = {0},
       .states = {multi},
       .instances = 1,
       .threads = {{add(1)}, {up(1)}}},
      {.name = "AddAndCpuDown",
       .online = {0, 1},
       .states = {multi},
       .instances = 1,
       .threads = {{add(1)}, {down(1)}}},
      {.name = "DropAndCpuUp",
       .online = {0},
       .states = {multi},
       .instances = 2,
       .threads = {{drop(0)}, {up(1)}}},
      {.name = "DropAndCpuDown",
       .online = {0, 1},
       .states = {multi},
       .instances = 2,
       .threads = {{drop(1)}, {down(1)}}},
      {.name = "SetupAndSetup", .online = {0, 1}, .threads = {{setup(online)}, {setup(dynamic)}}},
      {.name = "SetupAndRemove",
       .online = {0, 1},
       .states = {online},
       .threads = {{setup(dynamic)}, {remove(online)}}},
      {.name = "AddAndDrop",
       .online = {0, 1},
       .states = {multi},
       .instances = 1,
       .threads = {{add(1)}, {drop(0)}}},
      {.name = "ReaderAndCpuUp",
       .online = {0},
       .states = {online},
       .threads = {{read(), read()}, {up(1)}}},
      {.name = "ReaderAndCpuDown",
       .online = {0, 1},
       .states = {online},
       .threads = {{read(), read()}, {down(1)}}},
      {.name = "CpuUpAndCpuDownOfOne",
       .online = {0},
       .states = {online},
       .threads = {{up(1), down(1)}, {down(1), up(1)}}},
      {.name = "BothCpusDown",
       .online = {0, 1},
       .states = {online},
       .threads = {{down(0)}, {down(1)}}},
      {.name = "SetupOnACpuThatRestsAtTheState",
       .online = {0},
       .threads = {{rest(1, online), setup(online)}, {setup(dynamic)}}},

      // Something fails.
      {.name = "SetupFailsAndCpuDown",
       .cpu_count = 3,
       .online = {0, 1, 2},
       .threads = {{setup(dynamic)}, {down(1)}},
       .failure = Failure{.state = dynamic, .cpu = 2}},
      {.name = "AddFailsAndCpuUp",
       .cpu_count = 3,
       .online = {0, 1},
       .states = {multi},
       .instances = 1,
       .threads = {{add(1)}, {up(2)}},
       .failure = Failure{.state = multi, .cpu = 1, .instance = 1}},
      {.name = "CpuUpFailsAndSetup",
       .online = {0},
       .states = {prepare, starting, online, multi},
       .instances = 3,
       .threads = {{up(1)}, {setup(dynamic)}},
       .failure = Failure{.state = multi, .cpu = 1, .instance = 2}},
      {.name = "CpuUpFailsAndReader",
       .online = {0},
       .states = {prepare, starting, online},
       .threads = {{up(1)}, {read(), read()}},
       .failure = Failure{.state = online, .cpu = 1}},
      {.name = "CpuDownFailsAndRemove",
       .online = {0, 1},
       .states = {online, multi},
       .instances = 2,
       .threads = {{down(1)}, {drop(1)}},
       .failure = Failure{.state = online, .cpu = 1, .in_startup = false}},

      // Three threads, two CPUs.
      {.name = "SetupRemoveAndCpuUp",
       .online = {0},
       .states = {online},
       .threads = {{setup(dynamic)}, {remove(online)}, {up(1)}}},
      {.name = "SetupReaderAndCpuDown",
       .online = {0, 1},
       .states = {online},
       .threads = {{setup(dynamic)}, {read()}, {down(1)}}},
      {.name = "AddDropAndCpuUp",
       .online = {0},
       .states = {multi},
       .instances = 1,
       .threads = {{add(1)}, {drop(0)}, {up(1)}}},
      {.name = "AddRemoveAndCpuDown",
       .online = {0, 1},
       .states = {online, multi},
       .instances = 1,
       .threads = {{add(1)}, {remove(online)}, {down(1)}}},
      {.name = "TwoReadersAndCpuDown",
       .online = {0, 1},
       .states = {online},
       .threads = {{read()}, {read()}, {down(1)}}},
      {.name = "ReaderCpuUpAndCpuDown",
       .online = {0},
       .states = {online},
       .threads = {{read()}, {up(1)}, {down(1)}}},
      {.name = "SetupThenRemoveAndCpuUpThenDown",
       .online = {0},
       .threads = {{setup(dynamic), remove(dynamic)}, {up(1), down(1)}, {read()}},
       .preemptions = 3},

      // Three threads, three CPUs.
      {.name = "SetupAndTwoCpusUp",
       .cpu_count = 3,
       .online = {0},
       .states = {online},
       .threads = {{setup(dynamic)}, {up(1)}, {up(2)}}},
      {.name = "RemoveAndTwoCpusDown",
       .cpu_count = 3,
       .online = {0, 1, 2},
       .states = {online},
       .threads = {{remove(online)}, {down(1)}, {down(2)}}},
      {.name = "AddCpuUpAndCpuDown",
       .cpu_count = 3,
       .online = {0, 1},
       .states = {multi},
       .instances = 1,
       .threads = {{add(1)}, {down(1)}, {up(2)}}},
      {.name = "ReaderCpuUpAndAnotherDown",
       .cpu_count = 3,
       .online = {0, 1},
       .states = {online},
       .threads = {{read(), read()}, {down(1)}, {up(2)}}},
      {.name = "SetupReaderAndCpuUpOfThree",
       .cpu_count = 3,
       .online = {0, 1},
       .states = {online},
       .threads = {{setup(dynamic)}, {read()}, {up(2)}}},
      {.name = "SetupSetupAndCpuDownOfThree",
       .cpu_count = 3,
       .online = {0, 1, 2},
       .threads = {{setup(online)}, {setup(dynamic)}, {down(2)}}},
      {.name = "SetupRemoveReaderAndCpuUpOfThree",
       .cpu_count = 3,
       .online = {0, 1},
       .states = {online},
       .threads = {{setup(dynamic)}, {remove(online)}, {read()}, {up(2)}}},
  };
  return table;
}

}  // namespace trapline::interleave
