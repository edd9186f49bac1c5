// try_copy beside memcpy, both ranges good.
#include <benchmark/benchmark.h>

#include <cstring>
#include <memory>

#include "trapline/linux/guarded_access.h"

namespace {

constexpr std::size_t kLargest = 1U << 20;
// Neither range begins at a multiple of anything.
constexpr std::size_t kFromOffset = 64 + 8;
constexpr std::size_t kToOffset = 16;

struct Buffers {
  std::unique_ptr<char[]> from = std::make_unique<char[]>(kLargest + 4096);
  std::unique_ptr<char[]> to = std::make_unique<char[]>(kLargest + 4096);
};
Buffers& buffers() {
  static Buffers both;
  return both;
}

void copy_memcpy(benchmark::State& state) {
  char* const to = buffers().to.get() + kToOffset;
  const char* const from = buffers().from.get() + kFromOffset;
  auto size = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    benchmark::DoNotOptimize(size);
    std::memcpy(to, from, size);
    benchmark::ClobberMemory();
  }
}

void copy_guarded(benchmark::State& state) {
  char* const to = buffers().to.get() + kToOffset;
  const char* const from = buffers().from.get() + kFromOffset;
  auto size = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    benchmark::DoNotOptimize(size);
    if (!trapline::fault::try_copy(to, from, size).is_complete())
      state.SkipWithError("a copy failed");
    benchmark::ClobberMemory();
  }
}

BENCHMARK(copy_memcpy)->RangeMultiplier(4)->Range(64, kLargest)->Arg(128)->Arg(700)->Arg(2300);
BENCHMARK(copy_guarded)->RangeMultiplier(4)->Range(64, kLargest)->Arg(128)->Arg(700)->Arg(2300);

}  // namespace
