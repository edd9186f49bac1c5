// What debug registers can be had here and now, found by trying them on this thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/failure.h"
#include "trapline/base/access.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

struct ProbedCapabilities {
  std::size_t free_data_slots = 0;  // watchpoints this thread can have at once now
  std::size_t free_code_slots = 0;
  bool slots_are_shared = false;   // the two are one pool
  std::vector<Access> accesses;    // kinds that are accepted
  std::vector<ByteCount> lengths;  // lengths accepted at an aligned address
  bool unaligned = false;          // a length of 4 is accepted at an odd address
};

// Opens disabled events on this thread, and closes them again: nothing fires. Errors:
// permission_denied, not_supported.
[[nodiscard]] Result<ProbedCapabilities> probe_capabilities();

}  // namespace trapline::linux_port
