// The set of online CPUs, and the lock that holds it still.
//
// A reader-writer lock made for readers: a reader writes only to a slot of its own and executes no
// fence; the writer, a CPU that comes or goes, pays for both with an asymmetric heavy fence. Where
// CPUs go by somebody else's doing (Linux), it is their teardowns that wait, not the CPUs. One
// OnlineCpus belongs to one StateMachine, which alone writes. Freestanding.
//
//     std::shared_lock lock(machine.online_cpus());   // or cpus_read_lock / cpus_read_unlock
//     for each CPU of lock.mutex()->cpus() ...        // none of them goes away meanwhile
//
// The read lock does not nest, and is released by the context that took it; both are checked,
// always, and a violation is a bug (the port's `bug`). A hotplug callback must not take it.
#pragma once

#include "trapline/base/cpu_set.h"
#include "trapline/port/hotplug_port.h"

namespace trapline::hotplug {

template <typename Port>
class StateMachine;

template <ReadLockPort Port>
class OnlineCpus {
 public:
  explicit OnlineCpus(Port& port) : port_(port) {}
  OnlineCpus(const OnlineCpus&) = delete;
  OnlineCpus& operator=(const OnlineCpus&) = delete;

  // Waits while a CPU is coming or going. Not from a signal handler or an interrupt.
  void cpus_read_lock() {
    Slot& slot = port_.reader_slot();
    check_may_lock(slot);
    if (!try_enter(slot)) [[unlikely]]
      wait_and_enter(slot);
  }
  void cpus_read_unlock() {
    Slot& slot = port_.reader_slot();
    if (slot.held.load_relaxed() == 0) [[unlikely]]
      port_.bug("cpus_read_unlock without cpus_read_lock in this context");
    if (slot.in_callback) [[unlikely]]
      port_.bug("cpus_read_unlock in a hotplug callback: the lock is that of its caller");
    leave(slot);
  }
  // Whether the calling context holds the read lock.
  [[nodiscard]] bool read_lock_held() const { return port_.reader_slot().held.load_relaxed() != 0; }

  // The names std::shared_lock calls.
  void lock_shared() { cpus_read_lock(); }
  [[nodiscard]] bool try_lock_shared() {
    Slot& slot = port_.reader_slot();
    check_may_lock(slot);
    if (try_enter(slot)) return true;
    leave(slot);
    return false;
  }
  void unlock_shared() { cpus_read_unlock(); }

  // Under the read lock, or from a hotplug callback.
  [[nodiscard]] const CpuSet& cpus() const { return cpus_; }

 private:
  template <typename>
  friend class StateMachine;
  using Slot = ReaderSlot<typename Port::Word>;

  void check_may_lock(const Slot& slot) const {
    if (slot.held.load_relaxed() != 0) [[unlikely]]
      port_.bug("cpus_read_lock taken twice by one context: it does not nest");
    if (slot.in_callback) [[unlikely]]
      port_.bug("cpus_read_lock in a hotplug callback, which is under the lock already");
  }
  // Dekker's handshake with write_lock: each side announces itself, then looks at the other. The
  // fences make sure that at least one of them sees the other.
  [[nodiscard]] bool try_enter(Slot& slot) {
    slot.held.store_relaxed(1);
    port_.asymmetric_fence_light();
    // Pairs with the release in write_unlock: cpus_ is seen as the last writer left it.
    return writer_.load_acquire() == 0;
  }
  void leave(Slot& slot) {
    // Pairs with the acquire in write_lock: the writer changes cpus_ after this reader has read it.
    slot.held.store_release(0);
    // The same handshake: either the writer's look at the slot sees 0, or this look sees the
    // writer.
    port_.asymmetric_fence_light();
    if (writer_.load_relaxed() != 0) [[unlikely]]
      port_.wake(slot.held);
  }
  void wait_and_enter(Slot& slot) {
    do {
      leave(slot);
      port_.wait_while_equal(writer_, 1);
    } while (!try_enter(slot));
  }

  // One writer at a time: the state machine's control mutex is held around them.
  void write_lock() {
    writer_.store_relaxed(1);
    port_.asymmetric_fence_heavy();
    port_.for_each_reader_slot([this](Slot& slot) {
      while (slot.held.load_acquire() != 0) port_.wait_while_equal(slot.held, 1);
    });
  }
  void write_unlock() {
    writer_.store_release(0);
    port_.wake(writer_);
  }

  Port& port_;
  typename Port::Word writer_;  // 1 while a writer waits for the readers or works
  CpuSet cpus_;                 // guarded by this lock
};

}  // namespace trapline::hotplug
