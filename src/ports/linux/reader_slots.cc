#include "trapline/linux/reader_slots.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <utility>
#include <vector>

namespace trapline::linux_port {
namespace {

// Small numbers for threads, given out again after a thread has ended.
class ThreadNumbers {
 public:
  [[nodiscard]] std::size_t take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return next_++;
    const std::size_t number = free_.back();
    free_.pop_back();
    return number;
  }
  void give_back(std::size_t number) {
    const std::lock_guard lock(mutex_);
    free_.push_back(number);
  }

 private:
  std::mutex mutex_;  // guards both
  std::size_t next_ = 0;
  std::vector<std::size_t> free_;
};

// Threads end after the objects of static storage have been destroyed, so this one never is.
ThreadNumbers& thread_numbers() {
  static auto* const numbers = new ThreadNumbers;
  return *numbers;
}

constexpr std::size_t kNoNumber = ~std::size_t{0};
thread_local constinit std::size_t own_number = kNoNumber;

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> ids{0};
  return ids.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

thread_local constinit ReaderSlots::LastUsed ReaderSlots::last_used;

// By a destructor of thread-specific data, which run after those of thread_local objects, so that
// these may still take the lock (glibc: __call_tls_dtors before __nptl_deallocate_tsd). Whoever
// takes it later still gets a number anew.
std::size_t ReaderSlots::own_thread_number() {
  static const pthread_key_t at_end = [] {
    pthread_key_t key{};
    pthread_key_create(&key, [](void*) {
      thread_numbers().give_back(std::exchange(own_number, kNoNumber));
      last_used = {};
    });
    return key;
  }();
  if (own_number == kNoNumber) {
    own_number = thread_numbers().take();
    pthread_setspecific(at_end, &own_number);
  }
  return own_number;
}

void FutexWord::wait_while_equal(std::uint32_t value) {
  static_assert(sizeof(value_) == sizeof(std::uint32_t));
  ::syscall(SYS_futex, &value_, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void FutexWord::wake_all() {
  ::syscall(SYS_futex, &value_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

ReaderSlots::ReaderSlots() : id_(next_id()) {}

ReaderSlots::~ReaderSlots() {
  for (auto& chunk : chunks_) delete[] chunk.load(std::memory_order_relaxed);
}

ReaderSlots::Slot& ReaderSlots::find_mine() {
  Slot& slot = slot_of(own_thread_number());
  last_used = {id_, &slot};
  return slot;
}

// Chunk k holds the numbers from 64 * (2^k - 1) on.
ReaderSlots::Slot& ReaderSlots::slot_of(std::size_t thread_index) {
  // Never zero, whatever the number: said so that a checker knows it, too.
  const std::size_t ordinal = (thread_index / kFirstChunk + 1) | 1;
  const auto chunk = static_cast<std::size_t>(std::bit_width(ordinal) - 1);
  const std::size_t first = kFirstChunk * ((std::size_t{1} << chunk) - 1);
  Slot* slots = chunks_[chunk].load(std::memory_order_acquire);
  if (slots == nullptr) {
    const std::lock_guard lock(growing_);
    slots = chunks_[chunk].load(std::memory_order_relaxed);
    if (slots == nullptr) {
      slots = new Slot[chunk_size(chunk)];
      // Pairs with the acquire in for_each, which reads the slots.
      chunks_[chunk].store(slots, std::memory_order_release);
    }
  }
  return slots[thread_index - first];
}

}  // namespace trapline::linux_port
