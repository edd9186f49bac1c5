// A word that CPUs share, as the read lock asks for one (trapline/port/hotplug_port.h).
#pragma once

#include <atomic>
#include <cstdint>

namespace trapline::armv7_virt {

class SharedWord {
 public:
  [[nodiscard]] std::uint32_t load_relaxed() const {
    return value_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint32_t load_acquire() const {
    return value_.load(std::memory_order_acquire);
  }
  void store_relaxed(std::uint32_t value) { value_.store(value, std::memory_order_relaxed); }
  void store_release(std::uint32_t value) { value_.store(value, std::memory_order_release); }

 private:
  std::atomic<std::uint32_t> value_{0};
};

}  // namespace trapline::armv7_virt
