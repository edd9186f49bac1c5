// A lock for a few instructions, taken with IRQs masked: from any context, fault handlers included.
#pragma once

#include <atomic>

#include "isa/armv7/system_registers.h"

namespace trapline::armv7_virt {

// Does not nest. The holder is not interrupted, so waiting for it is short.
class Spinlock {
 public:
  void lock() {
    while (locked_.test_and_set(std::memory_order_acquire)) {
    }
  }
  // False: it was not free within `tries` looks.
  [[nodiscard]] bool try_lock(unsigned tries) {
    while (locked_.test_and_set(std::memory_order_acquire)) {
      if (tries-- == 0) return false;
    }
    return true;
  }
  void unlock() { locked_.clear(std::memory_order_release); }

 private:
  std::atomic_flag locked_;
};

class SpinlockGuard {
 public:
  explicit SpinlockGuard(Spinlock& lock) : lock_(lock) { lock_.lock(); }
  SpinlockGuard(const SpinlockGuard&) = delete;
  SpinlockGuard& operator=(const SpinlockGuard&) = delete;
  ~SpinlockGuard() { lock_.unlock(); }

 private:
  isa::armv7::IrqMask masked_;  // before the lock is taken, and until it is given back
  Spinlock& lock_;
};

}  // namespace trapline::armv7_virt
