// What the state machine itself adds to a CPU's way up and down: a full set of states with
// callbacks that do nothing, and no CPU is really switched (the CPU is lost and arrives as far as
// the machine knows).
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "trapline/linux/cpu_hotplug.h"

namespace trapline {
namespace {

std::expected<void, Error> nothing(const hotplug::CallbackContext&) {
  return {};
}

void lost_and_arrived(benchmark::State& state) {
  const auto hotplug = CpuHotplug::start();
  if (!hotplug) {
    state.SkipWithError("CPUs cannot be followed here");
    return;
  }
  auto& machine = (*hotplug)->machine();
  std::vector<hotplug::StateHandle> states;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    auto made =
        machine.setup_state({.name = "bench/nothing:online",
                             .placement = hotplug::Placement::dynamic(hotplug::Section::online),
                             .startup = nothing,
                             .teardown = nothing});
    states.push_back(*std::move(made));
  }
  const CpuId cpu{(*hotplug)->cpu_limit() > 1 ? 1U : 0U};
  for (auto _ : state) {
    (void)machine.cpu_lost(cpu);
    (void)machine.cpu_arrived(cpu);
  }
  state.counters["per_transition"] =
      benchmark::Counter(static_cast<double>(state.iterations() * 2),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(lost_and_arrived)->Arg(0)->Arg(40)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace trapline
