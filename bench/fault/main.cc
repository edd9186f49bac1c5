// Runs the benchmarks of this folder in random order, again and again, and compares: each ratio is
// that of the medians, with the smallest and largest ratio of a repetition with the other's median.
//
//     fault_bench [--benchmark_filter=...]    as every Google Benchmark program
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "trapline/linux/guarded_access.h"

namespace {

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

}  // namespace

int main(int argc, char** argv) {
  std::vector<char*> arguments(argv, argv + argc);
  std::string repetitions = "--benchmark_repetitions=15";
  std::string interleaving = "--benchmark_enable_random_interleaving=true";
  std::string time = "--benchmark_min_time=0.05";
  arguments.insert(arguments.begin() + 1, {repetitions.data(), interleaving.data(), time.data()});
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (!trapline::fault::install_fault_handler()) return 1;

  Comparison comparison;
  benchmark::RunSpecifiedBenchmarks(&comparison);
  for (const std::string& name : comparison.names()) comparison.print(name);
  std::puts("");
  comparison.compare("try_load / plain load", "load_guarded", "load_plain", "<= 1.1");
  comparison.compare("sigsetjmp / try_load", "load_sigsetjmp", "load_guarded", ">= 100");
  comparison.compare("process_vm_readv / try_load", "load_process_vm_readv", "load_guarded",
                     ">= 1000");
  comparison.compare("recovered fault / bare signal", "recover_guarded", "recover_bare_signal",
                     "<= 1.1");
  for (const std::string& name : comparison.names()) {
    if (!name.starts_with("copy_memcpy/")) continue;
    const std::string size = name.substr(name.find('/') + 1);
    comparison.compare("memcpy / try_copy, " + size + " bytes", name, "copy_guarded/" + size,
                       ">= 0.95");
  }
  return 0;
}
