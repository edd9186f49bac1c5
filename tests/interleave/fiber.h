// Coroutines with stacks of their own, that switch without a system call.
//
// ucontext(3) makes the first entry, on any architecture; swapcontext would change the signal mask
// at every switch, a system call that costs more than all else, so _setjmp and _longjmp do the
// rest. Leaving a function by _longjmp and coming back to it later is beyond what POSIX promises;
// glibc does it on every architecture it supports, unless _FORTIFY_SOURCE checks for it.
#pragma once

#include <ucontext.h>

#include <csetjmp>
#include <cstddef>
#include <memory>

namespace trapline::interleave {

class Fiber {
 public:
  // The calling thread's own stack.
  Fiber() = default;
  // A stack that `entry` will run on. It must not return.
  Fiber(void (*entry)(void* argument), void* argument);
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // From the fiber that runs to another. Returns when one switches back.
  static void switch_between(Fiber& from, Fiber& to);
  // What runs on it is forgotten, destructors and all; the next switch to it enters anew.
  void restart() { is_entered_ = false; }

 private:
  static void enter();

  std::jmp_buf place_;
  ucontext_t start_;
  std::unique_ptr<std::byte[]> stack_;
  void (*entry_)(void*) = nullptr;
  void* argument_ = nullptr;
  bool is_entered_ = false;
};

}  // namespace trapline::interleave
