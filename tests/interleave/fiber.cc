#include "interleave/fiber.h"

namespace trapline::interleave {
namespace {

constexpr std::size_t kStackSize = std::size_t{256} * 1024;

// makecontext passes ints only.
thread_local Fiber* entering = nullptr;

}  // namespace

Fiber::Fiber(void (*entry)(void*), void* argument)
    : stack_(new std::byte[kStackSize]), entry_(entry), argument_(argument) {}

void Fiber::enter() {
  entering->entry_(entering->argument_);
}

void Fiber::switch_between(Fiber& from, Fiber& to) {
  if (_setjmp(from.place_) != 0) return;
  from.is_entered_ = true;
  if (to.is_entered_) _longjmp(to.place_, 1);
  getcontext(&to.start_);
  to.start_.uc_stack.ss_sp = to.stack_.get();
  to.start_.uc_stack.ss_size = kStackSize;
  makecontext(&to.start_, &Fiber::enter, 0);
  entering = &to;
  setcontext(&to.start_);
}

}  // namespace trapline::interleave
