// Returns from main while other threads fault, in the program and in a shared object.
//
//     exit_target PLUGIN
#include <dlfcn.h>
#include <unistd.h>

#include <thread>

#include "trapline/linux/guarded_access.h"

int main(int, char** argv) {
  if (!trapline::fault::install_fault_handler()) return 2;
  void* const plugin = ::dlopen(argv[1], RTLD_NOW);
  if (plugin == nullptr) return 3;
  auto* const faults = reinterpret_cast<int (*)(int)>(::dlsym(plugin, "plugin_faults"));
  std::thread([] {
    while (true) {
      if (trapline::fault::try_load(reinterpret_cast<int*>(std::uintptr_t{0x20}))) ::_exit(4);
    }
  }).detach();
  std::thread([faults] {
    while (true) {
      if (faults(10) != 20) ::_exit(5);
    }
  }).detach();
  ::usleep(2000);
  return 0;
}
