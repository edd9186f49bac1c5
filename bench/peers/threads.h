// Trapline on many threads: how long it takes to attach to them, and whether it keeps account of
// what they write at once. For each collector.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/peers/machine.h"
#include "bench/peers/spread.h"

namespace trapline::peers {

struct ThreadPlaces {
  std::string trapline;
  std::string idle_threads;  // the targets
  std::string writers;
  std::string folder;  // for files of a run
};

struct AttachPlan {
  std::size_t threads = 0;
  std::size_t rounds = 0;
};

struct AttachResult {
  std::string collector;
  std::optional<Spread> milliseconds;  // from starting the command to its start record
  std::string missing;                 // why there are none
};

// One process with that many threads, which idle; the rounds interleave the collectors.
[[nodiscard]] std::vector<AttachResult> measure_attach(const ThreadPlaces& places,
                                                       const AttachPlan& plan,
                                                       std::span<const CollectorState> collectors);

struct WritersPlan {
  std::size_t threads = 0;
  double seconds = 0;
};

struct WritersResult {
  std::string collector;
  std::uint64_t writes = 0;  // by the target's own count
  std::uint64_t hits = 0;    // hit records
  std::uint64_t lost = 0;
  std::string missing;  // why there are none

  // Every write is a hit, or said to be lost.
  [[nodiscard]] bool is_exact() const { return missing.empty() && hits + lost == writes; }
};

// The target is started by the watch. Its hits come through a pipe: they may be millions.
[[nodiscard]] std::vector<WritersResult> check_writers(const ThreadPlaces& places,
                                                       const WritersPlan& plan,
                                                       std::span<const CollectorState> collectors);

}  // namespace trapline::peers
