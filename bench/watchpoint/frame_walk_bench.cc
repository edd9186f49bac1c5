// A stack of 32 frames: through guarded loads, and by loads that crash on a bad one.
#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>

#include "trapline/fault/frame_walk.h"

namespace {

constexpr std::size_t kFrames = 32;

// Ready-made frames, as far apart as small functions' are.
class Frames {
 public:
  Frames() {
    for (std::size_t i = 0; i < kFrames; ++i) {
      words_[i * kApart] = i + 1 < kFrames ? address_of((i + 1) * kApart) : 0;
      words_[i * kApart + 1] = 0x400000 + i;
    }
  }
  [[nodiscard]] trapline::fault::StackPosition start() const {
    return {address_of(0), address_of(0)};
  }

 private:
  static constexpr std::size_t kApart = 10;
  [[nodiscard]] std::uintptr_t address_of(std::size_t word) const {
    return reinterpret_cast<std::uintptr_t>(&words_[word]);
  }
  std::array<std::uintptr_t, kFrames * kApart> words_{};
};

void walk_guarded(benchmark::State& state) {
  const Frames frames;
  std::array<std::uintptr_t, kFrames> callers;
  for (auto _ : state) {
    if (trapline::fault::walk_frames(frames.start(), callers) != kFrames)
      state.SkipWithError("frames are missing");
    benchmark::DoNotOptimize(callers);
  }
}
BENCHMARK(walk_guarded);

void walk_plain(benchmark::State& state) {
  const Frames frames;
  std::array<std::uintptr_t, kFrames> callers;
  for (auto _ : state) {
    std::size_t count = 0;
    const auto* frame = reinterpret_cast<const std::uintptr_t*>(frames.start().frame_pointer);
    while (frame != nullptr && count < kFrames) {
      callers[count++] = frame[1];
      frame = reinterpret_cast<const std::uintptr_t*>(frame[0]);
    }
    benchmark::DoNotOptimize(callers);
  }
}
BENCHMARK(walk_plain);

}  // namespace
