// A pool with one worker per CPU, which follows CPUs as they come and go: no task is lost when a
// CPU goes offline, and one that comes back gets its worker again.
//
//     per_cpu_pool [TASKS]    runs so many tasks (default 100000) and tells which CPU ran how many
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "trapline/linux/cpu_hotplug.h"

namespace hotplug = trapline::hotplug;
using trapline::CpuHotplug;
using trapline::CpuId;
using trapline::Error;
using Outcome = std::expected<void, Error>;

class PerCpuPool {
 public:
  using Task = std::function<void(CpuId)>;

  explicit PerCpuPool(CpuHotplug& hotplug) : hotplug_(hotplug), lanes_(hotplug.cpu_limit()) {}

  // Two states: memory is there before the CPU runs, the worker only while it does. Each startup
  // has run on every online CPU when setup_state returns.
  Outcome start() {
    auto memory = hotplug_.machine().setup_state(
        {.name = "pool/memory:prepare",
         .placement = hotplug::Placement::dynamic(hotplug::Section::prepare),
         .startup = hotplug::method<&PerCpuPool::allocate>,
         .teardown = hotplug::method<&PerCpuPool::free>,
         .object = this});
    if (!memory) return std::unexpected(memory.error());
    memory_ = *std::move(memory);
    auto workers = hotplug_.machine().setup_state(
        {.name = "pool/worker:online",
         .placement = hotplug::Placement::dynamic(hotplug::Section::online),
         .startup = hotplug::method<&PerCpuPool::start_worker>,
         .teardown = hotplug::method<&PerCpuPool::stop_worker>,
         .object = this});
    if (!workers) return std::unexpected(workers.error());
    workers_ = *std::move(workers);
    return {};
  }

  // Gives the task to the next online CPU. Under the read lock no CPU goes away between choosing it
  // and queueing on it.
  void submit(Task task) {
    const std::shared_lock cpus(hotplug_.machine().online_cpus());
    Lane& lane = *lanes_[next_online().value];
    const std::lock_guard lock(lane.mutex);
    lane.tasks.push_back(std::move(task));
    lane.changed.notify_one();
  }

 private:
  struct Lane {
    std::mutex mutex;  // guards the next two
    std::deque<Task> tasks;
    bool ends = false;
    std::condition_variable changed;
    std::thread worker;
  };

  Outcome allocate(const hotplug::CallbackContext& context) {
    lanes_[context.cpu.value] = std::make_unique<Lane>();
    return {};
  }
  Outcome free(const hotplug::CallbackContext& context) {
    lanes_[context.cpu.value].reset();
    return {};
  }
  // Runs on the CPU's hotplug thread, so the worker inherits that thread's affinity: this CPU.
  Outcome start_worker(const hotplug::CallbackContext& context) {
    Lane& lane = *lanes_[context.cpu.value];
    lane.ends = false;
    lane.worker = std::thread([&lane, cpu = context.cpu] { work(lane, cpu); });
    return {};
  }
  // Returns when the worker has done what was queued. A CPU that is lost (context.cpu_is_lost)
  // makes no difference: the kernel has moved its threads elsewhere.
  Outcome stop_worker(const hotplug::CallbackContext& context) {
    Lane& lane = *lanes_[context.cpu.value];
    {
      const std::lock_guard lock(lane.mutex);
      lane.ends = true;
      lane.changed.notify_one();
    }
    lane.worker.join();
    return {};
  }

  static void work(Lane& lane, CpuId cpu) {
    std::unique_lock lock(lane.mutex);
    while (true) {
      lane.changed.wait(lock, [&] { return lane.ends || !lane.tasks.empty(); });
      if (lane.tasks.empty()) return;
      const Task task = std::move(lane.tasks.front());
      lane.tasks.pop_front();
      lock.unlock();
      task(cpu);
      lock.lock();
    }
  }

  CpuId next_online() {
    const trapline::CpuSet& online = hotplug_.machine().online_cpus().cpus();
    CpuId cpu;
    do {
      cpu.value = next_.fetch_add(1) % hotplug_.cpu_limit();
    } while (!online.contains(cpu));
    return cpu;
  }

  CpuHotplug& hotplug_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // by CPU
  std::atomic<std::uint32_t> next_ = 0;
  // Removed in reverse when the pool dies: first the workers end, then the memory goes.
  hotplug::StateHandle memory_;
  hotplug::StateHandle workers_;
};

int main(int argc, char** argv) {
  const long tasks = argc > 1 ? std::atol(argv[1]) : 100'000;
  const auto hotplug = CpuHotplug::start();
  if (!hotplug) return 1;
  std::vector<std::atomic<long>> ran((*hotplug)->cpu_limit());
  {
    PerCpuPool pool(**hotplug);
    if (!pool.start()) return 1;
    for (long i = 0; i < tasks; ++i) pool.submit([&ran](CpuId cpu) { ++ran[cpu.value]; });
  }
  long total = 0;
  for (std::size_t cpu = 0; cpu < ran.size(); ++cpu) {
    std::printf("cpu %zu ran %ld tasks\n", cpu, ran[cpu].load());
    total += ran[cpu];
  }
  std::printf("%ld of %ld tasks were run\n", total, tasks);
  return total == tasks ? 0 : 1;
}
