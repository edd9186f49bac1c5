// Benchmarks that are compared with each other in one run: in random order, again and again; each
// ratio is that of the medians, with the smallest and largest ratio of a repetition with the
// other's median.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace trapline::bench {

// Keeps what every repetition took, in nanoseconds for one operation.
class Comparison : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.error_occurred) continue;
      const auto items = run.counters.find("items_per_second");
      times_[run.run_name.str()].push_back(items != run.counters.end() ? 1e9 / items->second.value
                                                                       : run.GetAdjustedCPUTime());
    }
  }

  void print(const std::string& name) const {
    if (!times_.contains(name)) return;
    std::printf("%-28s %12.2f ns\n", name.c_str(), median(name));
  }

  // How many times as long `a` takes as `b`.
  void compare(const std::string& what, const std::string& a, const std::string& b,
               const char* goal) const {
    if (!times_.contains(a) || !times_.contains(b)) return;
    const auto& all = times_.at(a);
    const double base = median(b);
    std::printf("%-46s %8.2f (%.2f to %.2f), goal %s\n", what.c_str(), median(a) / base,
                *std::min_element(all.begin(), all.end()) / base,
                *std::max_element(all.begin(), all.end()) / base, goal);
  }

  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [name, times] : times_) all.push_back(name);
    return all;
  }

 private:
  [[nodiscard]] double median(const std::string& name) const {
    std::vector<double> sorted = times_.at(name);
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }
  std::map<std::string, std::vector<double>> times_;
};

// Runs all of the program's benchmarks, with what the command line asks as every Google Benchmark
// program, and prints the medians.
inline Comparison run_compared(int argc, char** argv) {
  std::vector<char*> arguments(argv, argv + argc);
  std::string repetitions = "--benchmark_repetitions=15";
  std::string interleaving = "--benchmark_enable_random_interleaving=true";
  std::string time = "--benchmark_min_time=0.05";
  arguments.insert(arguments.begin() + 1, {repetitions.data(), interleaving.data(), time.data()});
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  Comparison comparison;
  benchmark::RunSpecifiedBenchmarks(&comparison);
  for (const std::string& name : comparison.names()) comparison.print(name);
  std::puts("");
  return comparison;
}

}  // namespace trapline::bench
