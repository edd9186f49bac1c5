// The read lock's slots of a Linux process: one per thread, found without a lock.
//
// Hosted; any thread, not signal handlers. After fork() the child has the slots of threads it does
// not have: it may not use its parent's state machines.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "trapline/port/hotplug_port.h"

namespace trapline::linux_port {

// A shared word that a thread can wait for (futex(2)).
class FutexWord {
 public:
  [[nodiscard]] std::uint32_t load_relaxed() const {
    return value_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint32_t load_acquire() const {
    return value_.load(std::memory_order_acquire);
  }
  void store_relaxed(std::uint32_t value) { value_.store(value, std::memory_order_relaxed); }
  void store_release(std::uint32_t value) { value_.store(value, std::memory_order_release); }

  // Blocks while the word has this value; may return early.
  void wait_while_equal(std::uint32_t value);
  void wake_all();

 private:
  std::atomic<std::uint32_t> value_{0};
};

// The slots of one read lock. A thread's slot is its own from its first use to the thread's end,
// then it is given to another.
class ReaderSlots {
 public:
  // A cache line each, so that no reader slows another down.
  struct alignas(64) Slot : ReaderSlot<FutexWord> {};

  ReaderSlots();
  ReaderSlots(const ReaderSlots&) = delete;
  ReaderSlots& operator=(const ReaderSlots&) = delete;
  ~ReaderSlots();

  [[nodiscard]] Slot& mine() {
    if (last_used.owner == id_) [[likely]]
      return *last_used.slot;
    return find_mine();
  }

  // Calls visit(Slot&) for every slot that a thread has, or had.
  template <typename Visitor>
  void for_each(Visitor visit) {
    for (std::size_t index = 0; index < chunks_.size(); ++index) {
      // Pairs with the release in slot_of.
      Slot* const chunk = chunks_[index].load(std::memory_order_acquire);
      if (chunk == nullptr) continue;
      for (std::size_t slot = 0; slot < chunk_size(index); ++slot) visit(chunk[slot]);
    }
  }

 private:
  // Chunks double: 17 of them are enough for the most threads Linux allows (PID_MAX_LIMIT, 4 194
  // 304).
  static constexpr std::size_t kChunks = 17;
  static constexpr std::size_t kFirstChunk = 64;
  [[nodiscard]] static constexpr std::size_t chunk_size(std::size_t chunk) {
    return kFirstChunk << chunk;
  }

  // The slot a thread used last, and of which object: ids are never given out twice.
  struct LastUsed {
    std::uint64_t owner = 0;
    Slot* slot = nullptr;
  };
  static thread_local constinit LastUsed last_used;

  [[nodiscard]] static std::size_t own_thread_number();
  [[nodiscard]] Slot& find_mine();
  [[nodiscard]] Slot& slot_of(std::size_t thread_index);

  const std::uint64_t id_;
  std::mutex growing_;  // guards the making of chunks
  std::array<std::atomic<Slot*>, kChunks> chunks_{};
};

}  // namespace trapline::linux_port
