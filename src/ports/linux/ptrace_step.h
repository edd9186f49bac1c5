// Taking a thread over the access that it is stopped before: where traps come before the access, it
// would trap there again and again. One body for each architecture that has such traps and no
// PTRACE_SINGLESTEP, in its folder; one for all others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "ports/linux/ptrace_thread.h"
#include "trapline/base/error.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

// One for each thread. All calls from the tracing thread.
class PtraceStep {
 public:
  // Whether it brings a loop of exclusive loads and stores to an end, which a trap in it makes go
  // round once more each time.
  [[nodiscard]] static bool ends_exclusive_loops();

  // The thread is in a StopKind::signal and its debug registers are cleared. Lets it run; ask
  // end_at at its next stop. Of a loop of exclusive loads and stores it runs all until the store
  // has succeeded, if ends_exclusive_loops(). Errors: no_free_slot, target_gone, not_supported,
  // os_failure; then it still stands.
  [[nodiscard]] std::expected<void, Error> begin(ThreadId tid);

  struct End {
    // The access has been made. False if another stop came first, or if what was to be stored was
    // not: then it traps again.
    bool has_run = false;
    bool is_own_stop = false;  // the stop is no signal of the program's
    // More than the instruction has run: its registers do not tell what was stored.
    bool ran_sequence = false;
  };
  // nullopt: it was let run on and will stop again.
  [[nodiscard]] std::optional<End> end_at(const ThreadStop& stop);

 private:
  // Where a loop of exclusive accesses (LDREX ... STREX) ends, and how far its execution is.
  struct Exclusive {
    std::uint32_t behind_store = 0;
    unsigned status_register = 0;  // of the store: 0 where it stored
    bool began_at_load = false;    // which was the access that trapped
    bool is_passing = false;       // from the load on, not step by step
    unsigned steps_left = 0;
  };
  // Leads the thread on. False: it cannot.
  [[nodiscard]] bool go_on(ThreadId tid);

  std::uint64_t from_ = 0;  // the address of the instruction
  std::optional<Exclusive> exclusive_ = std::nullopt;
};

}  // namespace trapline::linux_port
