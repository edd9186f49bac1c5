// A child of this process that is stopped and traced by it: to ask what ptrace tells of a machine's
// debug registers, which it does only of a tracee. One thread at a time. Blocks until the child has
// stopped, a millisecond at most.
#pragma once

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

  // Its id; 0, which no thread has, if there is none.
  [[nodiscard]] ThreadId tid() const { return tid_; }

 private:
  ThreadId tid_{};
};

}  // namespace trapline::linux_port
