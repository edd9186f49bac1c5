// One hit of a watchpoint: counted and nothing else, by a bare handler of SIGTRAP, and told to a
// handler with values and stack. Where debug registers do not fire there is nothing to measure.
#include <benchmark/benchmark.h>

#include <atomic>
#include <csignal>
#include <cstdint>

#include "ports/linux/perf_event.h"
#include "ports/linux/self_watch.h"
#include "trapline/linux/watchpoint.h"

namespace {

using trapline::Access;
using trapline::ByteCount;
using trapline::RemoteAddress;
using trapline::SlotRequest;
using trapline::linux_port::PerfEvent;

alignas(8) volatile std::uint64_t word;

void write_word(benchmark::State& state) {
  for (auto _ : state) word = 1;
}

SlotRequest slot_of_word() {
  return {RemoteAddress::of_local(&word), ByteCount{sizeof word}, Access::write};
}

// What a run saw has to be what it wrote.
void check(benchmark::State& state, std::uint64_t hits) {
  if (hits != static_cast<std::uint64_t>(state.iterations()))
    state.SkipWithError("not every write was a hit: the debug registers do not fire?");
}

void hit_counted(benchmark::State& state) {
  const auto event = trapline::linux_port::open_self_watch(slot_of_word());
  if (!event || !event->enable()) return state.SkipWithError("no perf events here");
  write_word(state);
  event->disable();
  check(state, event->count().value_or(0));
}
BENCHMARK(hit_counted);

void hit_bare_signal(benchmark::State& state) {
  struct sigaction before{};
  struct sigaction action{};
  action.sa_handler = [](int) {};
  ::sigaction(SIGTRAP, &action, &before);
  const auto event = PerfEvent::open(trapline::linux_port::sigtrap_attributes(slot_of_word(), 0),
                                     trapline::ThreadId{0}, std::nullopt);
  if (!event || !event->enable()) return state.SkipWithError("no sigtrap events here");
  write_word(state);
  event->disable();
  ::sigaction(SIGTRAP, &before, nullptr);
  check(state, event->count().value_or(0));
}
BENCHMARK(hit_bare_signal);

void hit_told(benchmark::State& state) {
  std::atomic<std::uint64_t> hits{0};
  const auto watch = trapline::Watchpoint::create(
      word, Access::write, [&](const trapline::WatchpointHit&) { ++hits; }, {.self_test = false});
  if (!watch) return state.SkipWithError(trapline::advice_on(watch.error()).c_str());
  write_word(state);
  check(state, hits);
}
BENCHMARK(hit_told);

}  // namespace
