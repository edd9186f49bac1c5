#include "trapline/linux/hotplug_port.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>

#include "ports/linux/cpu_files.h"
#include "ports/linux/hotplug_thread.h"
#include "ports/linux/monotonic_clock.h"

namespace trapline::linux_port {
namespace {

// The kernel's write to cpuN/online returns when the CPU is there; this only bounds a kernel that
// does it later.
constexpr std::chrono::seconds kArrivalLimit{5};
constexpr std::chrono::milliseconds kArrivalPoll{1};

// membarrier(2): PRIVATE_EXPEDITED must be registered before it is used (Linux 4.14).
bool register_membarrier() {
  return ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

}  // namespace

struct LinuxHotplugPort::Cpus {
  struct Cpu {
    std::unique_ptr<HotplugThread> thread;  // kept while the CPU is offline: it comes back
    std::optional<CpuArrival> arrival;
    bool is_started = false;
    std::optional<CpuGeneration> generation;  // in which it was started
    bool arrival_is_expected = false;         // `arrival` is of a start that is still to come
  };

  explicit Cpus(std::string folder) : files(std::move(folder)) {}

  [[nodiscard]] bool is_online(CpuId cpu) const {
    const auto online = files.online();
    return online && online->contains(cpu);
  }
  [[nodiscard]] std::expected<void, Error> bring_online(CpuId cpu) const {
    if (is_online(cpu)) return {};
    if (const auto asked = files.set_online(cpu, true); !asked) return asked;
    const auto deadline = std::chrono::steady_clock::now() + kArrivalLimit;
    while (!is_online(cpu)) {
      if (std::chrono::steady_clock::now() > deadline)
        return std::unexpected(Error{ErrorCode::timed_out});
      std::this_thread::sleep_for(kArrivalPoll);
    }
    return {};
  }
  [[nodiscard]] Cpu& at(CpuId cpu) {
    const std::lock_guard lock(mutex);
    return cpus[cpu];
  }

  [[nodiscard]] bool is_started(CpuId cpu) const {
    const std::lock_guard lock(mutex);
    const auto found = cpus.find(cpu);
    return found != cpus.end() && found->second.is_started;
  }
  [[nodiscard]] bool take_expectation(Cpu& cpu) {
    const std::lock_guard lock(mutex);
    return std::exchange(cpu.arrival_is_expected, false);
  }

  CpuFiles files;
  mutable std::mutex mutex;  // guards the map and, but for threads, what is in it
  std::map<CpuId, Cpu> cpus;
};

LinuxHotplugPort::LinuxHotplugPort(std::string cpu_folder, Fences fences)
    : uses_membarrier_(fences == Fences::automatic && register_membarrier()),
      cpus_(std::make_unique<Cpus>(std::move(cpu_folder))) {}

LinuxHotplugPort::~LinuxHotplugPort() = default;

void LinuxHotplugPort::asymmetric_fence_heavy() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!uses_membarrier_) return;
  if (::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0)
    bug("membarrier(2) fails although it was registered");
}

void LinuxHotplugPort::bug(const char* message) {
  std::fprintf(stderr, "trapline: bug: %s\n", message);
  std::abort();
}

bool LinuxHotplugPort::is_present(CpuId cpu) {
  const auto present = cpus_->files.present();
  return present && present->contains(cpu);
}

std::expected<void, Error> LinuxHotplugPort::start_cpu(CpuId cpu) {
  const Nanoseconds asked = now();
  Cpus::Cpu& entry = cpus_->at(cpu);
  if (cpus_->take_expectation(entry)) {
    // It is not for us to bring back what has gone again meanwhile.
    if (!cpus_->is_online(cpu)) return std::unexpected(Error{ErrorCode::interrupted});
  } else {
    if (const auto started = cpus_->bring_online(cpu); !started) return started;
    const std::lock_guard lock(cpus_->mutex);
    entry.arrival = CpuArrival{.learned = now(), .earliest = asked};
  }
  if (entry.thread) {
    entry.thread->forget_pin();
  } else {
    // This is called under locks that no exception may pass.
    try {
      entry.thread = std::make_unique<HotplugThread>(cpu);
    } catch (const std::system_error& error) {
      return std::unexpected(Error{ErrorCode::limit_reached, error.code().value()});
    }
  }
  const std::lock_guard lock(cpus_->mutex);
  entry.is_started = true;
  entry.generation = cpus_->files.generation(cpu);
  return {};
}

std::expected<void, Error> LinuxHotplugPort::stop_cpu(CpuId cpu) {
  if (const auto stopped = cpus_->files.set_online(cpu, false); !stopped) return stopped;
  release_cpu(cpu);
  return {};
}

void LinuxHotplugPort::release_cpu(CpuId cpu) {
  const std::lock_guard lock(cpus_->mutex);
  Cpus::Cpu& entry = cpus_->cpus[cpu];
  entry.is_started = false;
  entry.arrival.reset();
  entry.generation.reset();
}

void LinuxHotplugPort::run_on(CpuId cpu, Interrupts /*always masked*/, CpuWork work) {
  // Nobody else changes the thread: whoever starts CPUs holds the write lock, whoever runs on them
  // a lock that excludes it.
  cpus_->at(cpu).thread->run(work);
}

Nanoseconds LinuxHotplugPort::now() const {
  return monotonic_now();
}

bool LinuxHotplugPort::expect_arrival(CpuId cpu, CpuArrival arrival) {
  const std::lock_guard lock(cpus_->mutex);
  Cpus::Cpu& entry = cpus_->cpus[cpu];
  if (entry.is_started) return false;
  entry.arrival = arrival;
  entry.arrival_is_expected = true;
  return true;
}

void LinuxHotplugPort::forget_expectation(CpuId cpu) {
  std::ignore = cpus_->take_expectation(cpus_->at(cpu));
}

bool LinuxHotplugPort::has_gone(CpuId cpu) const {
  return cpus_->is_started(cpu) && has_stayed_online(cpu) != true;
}

std::optional<CpuArrival> LinuxHotplugPort::arrival(CpuId cpu) const {
  const std::lock_guard lock(cpus_->mutex);
  const auto found = cpus_->cpus.find(cpu);
  return found == cpus_->cpus.end() ? std::nullopt : found->second.arrival;
}

std::optional<bool> LinuxHotplugPort::has_stayed_online(CpuId cpu) const {
  const auto current = cpus_->files.generation(cpu);
  // One that is being taken down still has its generation.
  const bool is_online = cpus_->is_online(cpu);
  const std::lock_guard lock(cpus_->mutex);
  const auto found = cpus_->cpus.find(cpu);
  if (found == cpus_->cpus.end() || !found->second.generation) return std::nullopt;
  return is_online && current == found->second.generation;
}

}  // namespace trapline::linux_port
