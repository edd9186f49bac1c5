// What it costs to hold the CPUs still: the read lock beside those that others use, in one run,
// with 1 to 64 threads that do nothing else. The time is one thread's CPU time per lock and unlock:
// on two CPUs it is flat if readers do not disturb each other.
#include <benchmark/benchmark.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "trapline/hotplug/online_cpus.h"
#include "trapline/hotplug/state_machine.h"
#include "trapline/linux/hotplug_port.h"

#ifdef TRAPLINE_BENCH_HAS_LIBURCU
#define RCU_MEMBARRIER
#include <urcu/urcu-memb.h>
#endif

namespace trapline {
namespace {

using linux_port::LinuxHotplugPort;
using Machine = hotplug::StateMachine<LinuxHotplugPort>;

constexpr const char* kCpuFolder = "/sys/devices/system/cpu";

// A machine with CPUs that are in nobody's way: nothing is started.
class IdleMachine {
 public:
  explicit IdleMachine(LinuxHotplugPort::Fences fences)
      : port_(kCpuFolder, fences), machine_(port_, hotplug::StateLayout{}, cpus_, states_) {}
  [[nodiscard]] Machine& machine() { return machine_; }

 private:
  LinuxHotplugPort port_;
  hotplug::CpuRecord cpus_[1];
  hotplug::StateRecord states_[hotplug::StateLayout{}.count()];
  Machine machine_;
};

void read_lock(benchmark::State& state, Machine& machine) {
  auto& cpus = machine.online_cpus();
  for (auto _ : state) {
    cpus.cpus_read_lock();
    benchmark::DoNotOptimize(cpus.cpus());
    cpus.cpus_read_unlock();
  }
}

void trapline_read_lock(benchmark::State& state) {
  static IdleMachine idle(LinuxHotplugPort::Fences::automatic);
  read_lock(state, idle.machine());
}

void trapline_read_lock_without_membarrier(benchmark::State& state) {
  static IdleMachine idle(LinuxHotplugPort::Fences::full);
  read_lock(state, idle.machine());
}

void std_shared_mutex(benchmark::State& state) {
  static std::shared_mutex mutex;
  for (auto _ : state) {
    mutex.lock_shared();
    benchmark::ClobberMemory();
    mutex.unlock_shared();
  }
}

void pthread_rwlock(benchmark::State& state) {
  static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
  for (auto _ : state) {
    pthread_rwlock_rdlock(&lock);
    benchmark::ClobberMemory();
    pthread_rwlock_unlock(&lock);
  }
}

#ifdef TRAPLINE_BENCH_HAS_LIBURCU
void liburcu_memb(benchmark::State& state) {
  urcu_memb_register_thread();
  for (auto _ : state) {
    urcu_memb_read_lock();
    benchmark::ClobberMemory();
    urcu_memb_read_unlock();
  }
  urcu_memb_unregister_thread();
}
BENCHMARK(liburcu_memb)->ThreadRange(1, 64);
#endif

BENCHMARK(trapline_read_lock)->ThreadRange(1, 64);
BENCHMARK(trapline_read_lock_without_membarrier)->ThreadRange(1, 64);
BENCHMARK(std_shared_mutex)->ThreadRange(1, 64);
BENCHMARK(pthread_rwlock)->ThreadRange(1, 64);

// How long a CPU operation that calls nobody takes: the write lock, with threads that take the read
// lock once in a millisecond.
void writer_with_readers_present(benchmark::State& state) {
  IdleMachine idle(LinuxHotplugPort::Fences::automatic);
  auto& machine = idle.machine();
  std::atomic<bool> stop = false;
  std::atomic<std::int64_t> ready = 0;
  std::vector<std::thread> present;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    present.emplace_back([&] {
      {
        const std::shared_lock lock(machine.online_cpus());
      }
      ++ready;
      while (!stop) {
        {
          const std::shared_lock lock(machine.online_cpus());
          benchmark::DoNotOptimize(machine.online_cpus().cpus());
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
  }
  while (ready < state.range(0)) std::this_thread::yield();
  bool up = false;
  for (auto _ : state) {
    // One state up or down, without callbacks: the write lock is all there is to it.
    up = !up;
    (void)machine.set_target(CpuId{0},
                             hotplug::StateNumber{static_cast<std::uint16_t>(up ? 1 : 0)});
  }
  stop = true;
  for (std::thread& thread : present) thread.join();
}
BENCHMARK(writer_with_readers_present)
    ->Arg(0)
    ->Arg(1)
    ->Arg(64)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace trapline
