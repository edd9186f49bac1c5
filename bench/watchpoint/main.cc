// Compares the benchmarks of this folder.
//
//     watchpoint_bench [--benchmark_filter=...]    as every Google Benchmark program
#include "comparison.h"
#include "trapline/linux/guarded_access.h"

int main(int argc, char** argv) {
  if (!trapline::fault::install_fault_handler()) return 1;
  const auto comparison = trapline::bench::run_compared(argc, argv);
  comparison.compare("hit told / hit counted", "hit_told", "hit_counted", "<= 1.35");
  comparison.compare("hit told / bare signal", "hit_told", "hit_bare_signal", "none");
  comparison.compare("32 frames, guarded / plain", "walk_guarded", "walk_plain", "none");
  return 0;
}
