// Who decides, on a fake machine, which context runs next and when its stores become visible.
//
// Without a scheduler everything runs inline on the caller, in program order. While one is active
// on a thread, every context of the fake ports on that thread is one of its coroutines: the port
// announces each operation that another context could notice, and the scheduler may run others
// before it. The interleaving explorer (tests/interleave) is one.
#pragma once

#include <cstdint>

namespace trapline::fake {

struct Context;

// Something a context is about to do, for the scheduler to choose by and to tell of.
struct Operation {
  enum class Kind : std::uint8_t {
    load,       // of the word `object`
    store,      // of `value` to the word `object`
    fence,      // the heavy one
    lock,       // of the mutex (or a CPU's hotplug thread) `object`
    wait,       // on the word `object`, while it has `value`
    wake,       // of those that wait on the word `object`
    start_cpu,  // CPU `value`
    stop_cpu,   // CPU `value`
    step,       // of the test itself: `text`
  };
  Kind kind{};
  const void* object = nullptr;
  std::uint32_t value = 0;
  const char* text = nullptr;
};

class Scheduler {
 public:
  Scheduler() = default;
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // The calling thread's; nullptr: none.
  [[nodiscard]] static Scheduler* active() { return active_; }

  // The context that runs.
  [[nodiscard]] Context& current() { return *current_; }
  void set_current(Context& context) { current_ = &context; }

  // Returns when it is the calling context's turn to do the operation.
  virtual void before(const Operation& operation) = 0;
  // Whether the operation that was announced goes the less common way: a store stays in the store
  // buffer, a wait returns early.
  [[nodiscard]] virtual bool has_rare_outcome(const Operation& operation) = 0;
  // The calling context sleeps until another calls wake_all with the same object.
  virtual void sleep_on(const Operation& operation) = 0;
  virtual void wake_all(const void* object) = 0;
  // A rule was broken: ends the run.
  [[noreturn]] virtual void violation(const char* message) = 0;

 protected:
  ~Scheduler() = default;
  static void set_active(Scheduler* scheduler) { active_ = scheduler; }

 private:
  Context* current_ = nullptr;
  // NOLINTNEXTLINE(readability-identifier-naming): of a static member it knows no suffix
  static constinit inline thread_local Scheduler* active_ = nullptr;
};

}  // namespace trapline::fake
