// What contexts of a fake machine share: words with x86's memory model, and mutexes.
//
// Under a scheduler a store may stay in its context's store buffer, where only that context sees it
// (total store order: Sewell et al., "x86-TSO", CACM 53(7)). The buffer drains in order at a mutex
// operation, a wait, a wake or run_on of its own context, and at the heavy fence of any
// (membarrier(2) does that to every CPU). Release stores may be delayed too, as on x86. Loads are
// not reordered: what only weaker machines do is not shown. Without a scheduler every store is
// visible at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "ports/fake/scheduler.h"
#include "trapline/base/units.h"
#include "trapline/port/hotplug_port.h"

namespace trapline::fake {

// Says the message and ends the program, or the scheduler's run.
[[noreturn]] void fail(const char* message);

class Word {
 public:
  [[nodiscard]] std::uint32_t load_relaxed() const { return load(); }
  [[nodiscard]] std::uint32_t load_acquire() const { return load(); }
  void store_relaxed(std::uint32_t value) { store(value); }
  void store_release(std::uint32_t value) { store(value); }

  // For the port.
  void set_owner(const Context& owner) { owner_ = &owner; }
  void wait_while_equal(std::uint32_t value);
  void wake();

 private:
  friend class StoreBuffer;
  [[nodiscard]] std::uint32_t load() const;
  void store(std::uint32_t value);
  [[nodiscard]] bool may_change_beside(const Context& reader) const;

  std::uint32_t value_ = 0;
  const Context* owner_ = nullptr;  // the only context that stores to it
};

class StoreBuffer {
 public:
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::optional<std::uint32_t> newest(const Word& word) const;
  void push(Word& word, std::uint32_t value);
  void drain();

 private:
  struct Entry {
    Word* word = nullptr;
    std::uint32_t value = 0;
  };
  std::array<Entry, 8> entries_;
  std::size_t count_ = 0;
};

// What can hold a lock: a thread, or the hotplug thread of a CPU.
struct Context {
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  [[nodiscard]] std::string name() const;

  std::uint32_t number = 0;  // of a thread of the test
  std::optional<CpuId> cpu;  // of a hotplug thread
  bool has_ended = false;    // it will not store again
  Interrupts interrupts = Interrupts::enabled;
  ReaderSlot<Word> slot;
  StoreBuffer stores;
};

class Mutex {
 public:
  void lock();
  void unlock();

 private:
  bool is_locked_ = false;
};

}  // namespace trapline::fake
