// The Linux port of the hotplug state machine: what port/hotplug_port.h asks for, by threads,
// sysfs, futex(2) and membarrier(2).
//
// Hosted; made and driven by CpuHotplug (trapline/linux/cpu_hotplug.h), which is what to use.
#pragma once

#include <atomic>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "trapline/base/cpu_set.h"
#include "trapline/base/error.h"
#include "trapline/base/units.h"
#include "trapline/linux/reader_slots.h"
#include "trapline/port/hotplug_port.h"

namespace trapline::linux_port {

// When a CPU came online, as far as it can be known from user space. CLOCK_MONOTONIC.
struct CpuArrival {
  Nanoseconds learned;  // the kernel's event was received, or its answer to our asking for the CPU
  // It was not online yet. If it has been online and gone again since it was up last, before that
  // could be handled: not for the first time yet.
  Nanoseconds earliest;
};

class LinuxHotplugPort {
 public:
  using Word = FutexWord;
  using Mutex = std::mutex;
  enum class Fences : std::uint8_t {
    automatic,  // membarrier(2) where the kernel has it: the light fence costs nothing
    full,       // a fence on both sides, as on kernels before 4.14
  };

  // `cpu_folder`: /sys/devices/system/cpu, or a test's.
  LinuxHotplugPort(std::string cpu_folder, Fences fences);
  LinuxHotplugPort(const LinuxHotplugPort&) = delete;
  LinuxHotplugPort& operator=(const LinuxHotplugPort&) = delete;
  ~LinuxHotplugPort();

  // --- ReadLockPort ---
  [[nodiscard]] ReaderSlot<Word>& reader_slot() { return slots_.mine(); }
  template <typename Visitor>
  void for_each_reader_slot(Visitor visit) {
    slots_.for_each(visit);
  }
  void asymmetric_fence_light() {
    if (uses_membarrier_) [[likely]] {
      std::atomic_signal_fence(std::memory_order_seq_cst);
    } else {
      std::atomic_thread_fence(std::memory_order_seq_cst);
    }
  }
  void asymmetric_fence_heavy();
  void wait_while_equal(Word& word, std::uint32_t value) { word.wait_while_equal(value); }
  void wake(Word& word) { word.wake_all(); }
  [[noreturn]] void bug(const char* message);

  // --- HotplugPort ---
  [[nodiscard]] bool is_present(CpuId cpu);
  // Writes to cpuN/online if the CPU is offline (root). Errors: permission_denied, os_failure,
  // not_supported, timed_out; limit_reached (no thread can be had); interrupted (see
  // expect_arrival).
  [[nodiscard]] std::expected<void, Error> start_cpu(CpuId cpu);
  [[nodiscard]] std::expected<void, Error> stop_cpu(CpuId cpu);
  void release_cpu(CpuId cpu);
  // On the CPU's hotplug thread, which has all signals blocked that others can send it.
  void run_on(CpuId cpu, Interrupts interrupts, CpuWork work);
  [[nodiscard]] Nanoseconds now() const;

  // --- for CpuHotplug ---
  // start_cpu will be called because an event said that the CPU is online: then it does not switch
  // the CPU on, but fails with interrupted if it is offline again. False, and without effect, if
  // the CPU is started already: by ourselves, or for an earlier event.
  [[nodiscard]] bool expect_arrival(CpuId cpu, CpuArrival arrival);
  // It was not called after all.
  void forget_expectation(CpuId cpu);
  // Whether a CPU that was started has been offline since, as far as the kernel tells: where it
  // does not, the news that it has is believed.
  [[nodiscard]] bool has_gone(CpuId cpu) const;
  // When a CPU that is started came online. From hotplug callbacks.
  [[nodiscard]] std::optional<CpuArrival> arrival(CpuId cpu) const;
  // Whether the CPU is online and has not been offline since start_cpu. nullopt: the kernel does
  // not tell.
  [[nodiscard]] std::optional<bool> has_stayed_online(CpuId cpu) const;

 private:
  struct Cpus;  // files, hotplug threads, arrivals

  ReaderSlots slots_;
  bool uses_membarrier_;
  std::unique_ptr<Cpus> cpus_;
};

}  // namespace trapline::linux_port
