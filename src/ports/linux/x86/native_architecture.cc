#include "ports/linux/native_architecture.h"

namespace trapline::linux_port {

DebugArchitecture native_debug_architecture() {
  return x86_64_debug_architecture();
}

ExclusiveLoops native_exclusive_loops() {
  return ExclusiveLoops::none;
}

}  // namespace trapline::linux_port
