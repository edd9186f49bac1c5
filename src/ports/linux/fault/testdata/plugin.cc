// A shared object with guarded accesses of its own, in a template and out of it.
#include "trapline/linux/guarded_access.h"

namespace {

template <typename T>
int count_faults(int rounds) {
  int faults = 0;
  for (int round = 0; round < rounds; ++round) {
    const auto loaded = trapline::fault::try_load(reinterpret_cast<T*>(std::uintptr_t{0x20}));
    if (!loaded && loaded.error().kind == trapline::fault::FaultKind::unmapped) ++faults;
  }
  return faults;
}

// A constructor of the module may use what the module has, if there is a handler already.
#ifdef PLUGIN_FAULTS_IN_CONSTRUCTOR
const int kFaultsOfConstructor = count_faults<short>(1);
#else
const int kFaultsOfConstructor = 0;
#endif

}  // namespace

extern "C" int plugin_install() {
  return trapline::fault::install_fault_handler() ? 1 : 0;
}
extern "C" int plugin_faults(int rounds) {
  return count_faults<char>(rounds) + count_faults<long>(rounds);
}
extern "C" int plugin_faults_of_constructor() {
  return kFaultsOfConstructor;
}
