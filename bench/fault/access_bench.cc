// A load that succeeds: guarded, plain, and by what others do so that a bad pointer is no crash.
// All but the plain one are told whether it was good.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <csetjmp>
#include <cstdint>

#include "trapline/linux/guarded_access.h"

namespace {

// So many loads are timed together: one alone is shorter than the clock.
constexpr std::int64_t kLoads = 1024;
std::array<std::uint64_t, kLoads> numbers{};

template <typename Load>
void measure(benchmark::State& state, Load load) {
  bool has_failed = false;
  for (auto _ : state) {
    std::uint64_t sum = 0;
    for (const std::uint64_t& number : numbers) {
      if (!load(&number, sum)) [[unlikely]] {
        has_failed = true;
        break;
      }
    }
    benchmark::DoNotOptimize(sum);
  }
  if (has_failed) state.SkipWithError("a load failed");
  state.SetItemsProcessed(state.iterations() * kLoads);
}

void load_plain(benchmark::State& state) {
  measure(state, [](const volatile std::uint64_t* from, std::uint64_t& sum) {
    sum += *from;
    return true;
  });
}
BENCHMARK(load_plain);

void load_guarded(benchmark::State& state) {
  measure(state, [](const volatile std::uint64_t* from, std::uint64_t& sum) {
    const auto loaded = trapline::fault::try_load(from);
    if (!loaded) [[unlikely]]
      return false;
    sum += *loaded;
    return true;
  });
}
BENCHMARK(load_guarded);

void load_sigsetjmp(benchmark::State& state) {
  static sigjmp_buf place;
  measure(state, [](const volatile std::uint64_t* from, std::uint64_t& sum) {
    if (sigsetjmp(place, 1) != 0) return false;
    sum += *from;
    return true;
  });
}
BENCHMARK(load_sigsetjmp);

void load_process_vm_readv(benchmark::State& state) {
  const pid_t self = ::getpid();
  measure(state, [self](const std::uint64_t* from, std::uint64_t& sum) {
    std::uint64_t value = 0;
    const iovec to{&value, sizeof value};
    const iovec there{const_cast<std::uint64_t*>(from), sizeof value};
    if (::process_vm_readv(self, &to, 1, &there, 1, 0) != sizeof value) return false;
    sum += value;
    return true;
  });
}
BENCHMARK(load_process_vm_readv);

void load_proc_self_mem(benchmark::State& state) {
  const int memory = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  measure(state, [memory](const std::uint64_t* from, std::uint64_t& sum) {
    std::uint64_t value = 0;
    const auto offset = static_cast<off_t>(reinterpret_cast<std::uintptr_t>(from));
    if (::pread(memory, &value, sizeof value, offset) != sizeof value) return false;
    sum += value;
    return true;
  });
  ::close(memory);
}
BENCHMARK(load_proc_self_mem);

// libunwind's way, among others: the kernel copies, and says EFAULT.
void load_pipe_write(benchmark::State& state) {
  int ends[2];
  if (::pipe(ends) != 0) state.SkipWithError("pipe");
  measure(state, [&ends](const std::uint64_t* from, std::uint64_t& sum) {
    if (::write(ends[1], from, sizeof *from) != sizeof *from) return false;
    std::uint64_t value = 0;
    if (::read(ends[0], &value, sizeof value) != sizeof value) return false;
    sum += value;
    return true;
  });
  ::close(ends[0]);
  ::close(ends[1]);
}
BENCHMARK(load_pipe_write);

// Abseil's way (AddressIsReadable): the kernel reads the set before it finds the request invalid.
// The load comes afterwards, and may fail then.
void load_sigprocmask_probe(benchmark::State& state) {
  measure(state, [](const volatile std::uint64_t* from, std::uint64_t& sum) {
    if (::syscall(SYS_rt_sigprocmask, ~0, from, nullptr, 8) == -1 && errno == EFAULT) return false;
    sum += *from;
    return true;
  });
}
BENCHMARK(load_sigprocmask_probe);

}  // namespace
