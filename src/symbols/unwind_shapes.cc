#include "symbols/unwind_shapes.h"

#include <execinfo.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "native_machine.h"
#include "symbols/context_registers.h"

namespace trapline::symbols {
namespace {

Capture* current = nullptr;

// What a collector sees of this thread here, and what the C library says its stack is.
__attribute__((noinline)) void capture() {
  // Static: this frame is to be small, because the copy of the stack is.
  static ucontext_t context;
  static std::array<void*, 256> frames;
  getcontext(&context);
  current->registers = registers_of(context);
  // By the kernel, as a collector gets it: it stops where the stack ends, which may be sooner.
  current->stack.resize(current->stack_bytes);
  const iovec copy{current->stack.data(), current->stack.size()};
  const iovec stack{reinterpret_cast<void*>(*current->registers.get(native::kStackPointer)),
                    current->stack_bytes};
  const ssize_t copied = ::process_vm_readv(::getpid(), &copy, 1, &stack, 1, 0);
  current->stack.resize(copied < 0 ? 0 : static_cast<std::size_t>(copied));
  const int count = ::backtrace(frames.data(), static_cast<int>(frames.size()));
  current->callers.clear();
  // The first is inside this function, where the captured registers are, too.
  for (int index = 1; index < count; ++index)
    current->callers.push_back(RemoteAddress::of_local(frames[static_cast<std::size_t>(index)]));
}

// Keeps a call from becoming a jump.
volatile int after_call;

__attribute__((noinline)) void descend(int depth) {
  std::array<volatile char, 100> filler{};  // so that frames differ from what pushes alone make
  filler[static_cast<std::size_t>(depth) % filler.size()] = 1;
  if (depth == 0) {
    capture();
  } else {
    descend(depth - 1);
  }
  after_call = filler[0];
}

int compare_and_capture(const void* left, const void* right) {
  descend(1);
  return *static_cast<const int*>(left) - *static_cast<const int*>(right);
}

void on_signal(int) {
  descend(2);
}

}  // namespace

void capture_recursion(Capture& capture_into, int depth) {
  current = &capture_into;
  descend(depth);
}

void capture_through_library(Capture& capture_into) {
  current = &capture_into;
  std::array<int, 2> numbers{2, 1};
  std::qsort(numbers.data(), numbers.size(), sizeof(int), compare_and_capture);
  after_call = numbers[0];
}

void capture_in_signal_handler(Capture& capture_into) {
  current = &capture_into;
  struct sigaction action{};
  struct sigaction previous{};
  action.sa_handler = on_signal;
  ::sigaction(SIGUSR1, &action, &previous);
  ::raise(SIGUSR1);
  ::sigaction(SIGUSR1, &previous, nullptr);
}

void capture_in_thread(Capture& capture_into) {
  current = &capture_into;
  std::thread([] { descend(3); }).join();
}

}  // namespace trapline::symbols
