#include "ports/armv7_virt/watchdog.h"

#include <atomic>
#include <cstdint>

#include "ports/armv7_virt/fault_report.h"
#include "ports/armv7_virt/gic.h"
#include "ports/armv7_virt/memory_map.h"
#include "ports/armv7_virt/print.h"
#include "ports/armv7_virt/spinlock.h"
#include "ports/armv7_virt/stop.h"
#include "ports/armv7_virt/timer.h"

namespace trapline::armv7_virt::watchdog {
namespace {

constexpr Nanoseconds kTick{100'000'000};

struct Expectation {
  std::string_view what;
  Nanoseconds begin;
  Nanoseconds limit;
  bool is_set = false;
};
Spinlock lock;
Expectation expectation;  // guarded by lock
std::atomic<Observer> observer{nullptr};

Expectation current() {
  const SpinlockGuard guard(lock);
  return expectation;
}

}  // namespace

void expect(std::string_view what, Nanoseconds limit) {
  const SpinlockGuard guard(lock);
  expectation = {.what = what, .begin = timer::now(), .limit = limit, .is_set = true};
}

void stop_expecting() {
  const SpinlockGuard guard(lock);
  expectation.is_set = false;
}

void set_observer(Observer new_observer) {
  observer.store(new_observer, std::memory_order_release);
}

void start_ticking() {
  gic::enable_private(kVirtualTimerInterrupt);
  timer::interrupt_in(kTick);
}

void stop_ticking() {
  timer::disable();
}

void on_tick(const ExceptionFrame& frame) {
  timer::interrupt_in(kTick);
  if (const Observer look = observer.load(std::memory_order_acquire); look != nullptr) look();
  const Expectation expected = current();
  const std::uint64_t spent = timer::now().value - expected.begin.value;
  if (!expected.is_set || spent <= expected.limit.value) return;
  stop_expecting();
  print_line("watchdog: ", expected.what, " has not ended within ",
             Tenths{expected.limit.value / 100'000'000}, " s");
  print_place(frame);
  stop_machine(kStoppedByWatchdog);
}

}  // namespace trapline::armv7_virt::watchdog
