// Compares the benchmarks of this folder.
//
//     fault_bench [--benchmark_filter=...]    as every Google Benchmark program
#include "comparison.h"
#include "trapline/linux/guarded_access.h"

int main(int argc, char** argv) {
  if (!trapline::fault::install_fault_handler()) return 1;
  const auto comparison = trapline::bench::run_compared(argc, argv);
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
