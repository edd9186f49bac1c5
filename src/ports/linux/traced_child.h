// A child of this process that is stopped and traced by it: to ask what ptrace tells of a machine's
// debug registers, which it does only of a tracee. One thread at a time. Blocks until the child has
// stopped, a millisecond at most.
#pragma once

#include <cstddef>

#include "trapline/base/units.h"

namespace trapline::linux_port {

class TracedChild {
 public:
  // Where no process can be started, or it cannot be traced, every question fails.
  TracedChild();
  TracedChild(const TracedChild&) = delete;
  TracedChild& operator=(const TracedChild&) = delete;
  // Ends it.
  ~TracedChild();

  // PTRACE_GETREGSET (ptrace(2)). False if the kernel has no such set.
  [[nodiscard]] bool read_regset(unsigned type, void* destination, std::size_t size) const;

  // Its id; 0 if there is none.
  [[nodiscard]] ThreadId tid() const { return tid_; }

 private:
  ThreadId tid_{};
};

}  // namespace trapline::linux_port
