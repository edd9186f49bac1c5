// What the hotplug state machine and its read lock need of a machine.
//
// A port is an object that outlives the state machine made on it; one machine at a time, since the
// read lock's slots are the port's. "Context" below is what can hold a lock: a thread where there
// are threads, a CPU on bare metal. Every operation is mandatory. Freestanding.
#pragma once

#include <concepts>
#include <cstdint>
#include <expected>

#include "trapline/base/cpu_set.h"
#include "trapline/base/error.h"
#include "trapline/base/units.h"

namespace trapline {

// A word that contexts share. The orders mean what they mean in C++; the asymmetric fences below
// order the relaxed ones.
template <typename W>
concept SharedWord = std::default_initializable<W> && requires(W& word, std::uint32_t value) {
  { word.load_relaxed() } -> std::same_as<std::uint32_t>;
  { word.load_acquire() } -> std::same_as<std::uint32_t>;
  word.store_relaxed(value);
  word.store_release(value);
};

// One context's own place in the read lock.
template <SharedWord W>
struct ReaderSlot {
  W held;                    // 1 while the context holds the read lock
  bool in_callback = false;  // only its own context looks: it runs a hotplug callback
};

template <typename P>
concept ReadLockPort =
    SharedWord<typename P::Word> && requires(P& port, typename P::Word& word, std::uint32_t value) {
      // The calling context's slot; the same for as long as the context lives.
      { port.reader_slot() } -> std::same_as<ReaderSlot<typename P::Word>&>;
      // Calls visit(ReaderSlot&) for every context that has a slot. A context that appears
      // meanwhile may be missed: it has not passed its light fence before the caller's heavy one.
      // visit may block until the context of the slot leaves its read lock: a context that takes
      // its first slot meanwhile must not have to wait for that.
      port.for_each_reader_slot([](ReaderSlot<typename P::Word>&) {});
      // A pair as in P1202 (std::asymmetric_thread_fence): a store before the light fence, or a
      // load after it, is ordered against the heavy fence of another context. The light one may
      // cost nothing.
      port.asymmetric_fence_light();
      port.asymmetric_fence_heavy();
      // Blocks while the word has this value; may return early. Pairs with wake.
      port.wait_while_equal(word, value);
      port.wake(word);
      // A broken rule that cannot be returned as an error: says `message` and does not return.
      port.bug("message");
    };

// What run_on executes. `on_cpu`: it runs on the CPU asked for.
struct CpuWork {
  void (*run)(void* argument, bool on_cpu) = nullptr;
  void* argument = nullptr;
};

enum class Interrupts : std::uint8_t { enabled, masked };

template <typename P>
concept HotplugPort = ReadLockPort<P> && std::default_initializable<typename P::Mutex> &&
                      requires(P& port, typename P::Mutex& mutex, CpuId cpu, CpuWork work) {
                        mutex.lock();
                        mutex.unlock();
                        // CPUs that can be started: a subset of those the machine's storage has
                        // room for.
                        { port.is_present(cpu) } -> std::same_as<bool>;
                        // Makes the CPU ready for run_on: starts it if it is not running. Blocks.
                        // Errors: timed_out, os_failure, permission_denied, not_supported; the CPU
                        // is then as it was, or, after timed_out, may still arrive: start_cpu can
                        // be called again.
                        { port.start_cpu(cpu) } -> std::same_as<std::expected<void, Error>>;
                        // The reverse. After an error the CPU still runs and serves run_on.
                        { port.stop_cpu(cpu) } -> std::same_as<std::expected<void, Error>>;
                        // Stops serving a CPU without turning it off: it is gone already, or not
                        // wanted.
                        port.release_cpu(cpu);
                        // Runs `work` on the CPU's hotplug thread and returns when it is done.
                        // Between start_cpu and stop_cpu or release_cpu only, and not from within
                        // such work. Masked: no interrupt (in user space: no signal) is taken
                        // meanwhile.
                        port.run_on(cpu, Interrupts::masked, work);
                        // A clock that never goes back. From any context.
                        { port.now() } -> std::same_as<Nanoseconds>;
                      };

}  // namespace trapline
