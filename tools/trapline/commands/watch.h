// `trapline watch`: the main job.
#pragma once

#include "tools/trapline/watch/watch_options.h"

namespace trapline::command {

// Runs until the target ends, a limit is reached or the user interrupts; returns the command's exit
// status as design and man page give it: the watched command's own, else 0 after a normal end, 1
// when nothing could be watched.
[[nodiscard]] int run_watch(const WatchOptions& options);

}  // namespace trapline::command
