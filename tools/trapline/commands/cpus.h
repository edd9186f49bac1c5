// `trapline cpus`: each CPU's hotplug state, and with --follow every change as it happens.
#pragma once

#include "tools/trapline/watch/watch_options.h"

namespace trapline::command {

struct CpusOptions {
  bool follow = false;
  OutputFormat format = OutputFormat::automatic;
};

// Returns the exit status: 0; 1 if CPUs cannot be followed here or the output cannot be written.
[[nodiscard]] int run_cpus(const CpusOptions& options);

}  // namespace trapline::command
