// A load that faults, and how long it takes to go on: guarded, and by handlers that do nothing
// else.
#include <benchmark/benchmark.h>
#include <ucontext.h>

#include <csetjmp>
#include <csignal>
#include <cstdint>

#include "ports/linux/fault/module_registry.h"
#include "ports/linux/fault/signal_context.h"
#include "trapline/linux/guarded_access.h"

#ifdef TRAPLINE_BENCH_HAS_LIBSIGSEGV
#include <sigsegv.h>
#endif

namespace {

using trapline::linux_port::SignalContext;

volatile std::uintptr_t bad_address = 0x40;  // nothing for the compiler to see through
std::uint32_t* bad() {
  return reinterpret_cast<std::uint32_t*>(bad_address);
}

// Another handler for as long as the object lives.
class Replaced {
 public:
  explicit Replaced(void (*handler)(int, siginfo_t*, void*)) {
    struct sigaction action{};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGSEGV, &action, &before_);
  }
  Replaced(const Replaced&) = delete;
  Replaced& operator=(const Replaced&) = delete;
  ~Replaced() { ::sigaction(SIGSEGV, &before_, nullptr); }

 private:
  struct sigaction before_{};
};

[[gnu::noinline]] bool fault_once() {
  return !trapline::fault::try_load(bad());
}

void recover_guarded(benchmark::State& state) {
  for (auto _ : state) {
    if (!fault_once()) state.SkipWithError("it did not fault");
  }
}
BENCHMARK(recover_guarded);

// What the kernel alone takes: the same load, by a handler that knows where to go on.
std::uintptr_t bare_target = 0;
void recover_bare_signal(benchmark::State& state) {
  {
    const Replaced learning([](int signal, siginfo_t*, void* context) {
      SignalContext registers(signal, *static_cast<ucontext_t*>(context));
      bare_target = trapline::linux_port::module_registry()
                        .find_entry(registers.faulting_instruction())
                        ->fixup();
      registers.continue_at(bare_target);
      registers.set_fault_word(1);
    });
    (void)fault_once();
  }
  const Replaced handler([](int signal, siginfo_t*, void* context) {
    SignalContext registers(signal, *static_cast<ucontext_t*>(context));
    registers.continue_at(bare_target);
    registers.set_fault_word(1);
  });
  for (auto _ : state) {
    if (!fault_once()) state.SkipWithError("it did not fault");
  }
}
BENCHMARK(recover_bare_signal);

sigjmp_buf place;
void recover_siglongjmp(benchmark::State& state) {
  const Replaced handler([](int, siginfo_t*, void*) { ::siglongjmp(place, 1); });
  for (auto _ : state) {
    if (sigsetjmp(place, 1) == 0) {
      (void)*static_cast<volatile std::uint32_t*>(bad());
      state.SkipWithError("it did not fault");
    }
  }
}
BENCHMARK(recover_siglongjmp);

#ifdef TRAPLINE_BENCH_HAS_LIBSIGSEGV
void jump_back(void*, void*, void*) {
  ::siglongjmp(place, 1);
}
int leave(void*, int) {
  return ::sigsegv_leave_handler(jump_back, nullptr, nullptr, nullptr);
}
void recover_libsigsegv(benchmark::State& state) {
  struct sigaction before{};
  ::sigaction(SIGSEGV, nullptr, &before);
  ::sigsegv_install_handler(leave);
  for (auto _ : state) {
    if (sigsetjmp(place, 1) == 0) {
      (void)*static_cast<volatile std::uint32_t*>(bad());
      state.SkipWithError("it did not fault");
    }
  }
  ::sigsegv_deinstall_handler();
  ::sigaction(SIGSEGV, &before, nullptr);
}
BENCHMARK(recover_libsigsegv);
#endif

}  // namespace
