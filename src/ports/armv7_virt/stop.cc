#include "ports/armv7_virt/stop.h"

#include <atomic>

#include "ports/armv7_virt/cpu.h"
#include "ports/armv7_virt/fault_report.h"
#include "ports/armv7_virt/print.h"
#include "ports/armv7_virt/semihosting.h"
#include "ports/armv7_virt/timer.h"

namespace trapline::armv7_virt {
namespace {

constexpr Nanoseconds kPatience{2'000'000'000};

std::atomic<bool> is_stopping{false};
std::atomic<unsigned> stopped{0};  // the interfaces of the CPUs that have

[[noreturn]] void rest() {
  isa::armv7::mask_irqs();
  while (true) isa::armv7::wfi();
}

void name_silent_cpus(unsigned silent) {
  for (std::uint32_t id = 0; id < kMaxBoardCpus; ++id) {
    if ((cpu_at(CpuId{id}).interface & silent) != 0)
      print_line("CPU ", id, " does not answer: it has interrupts masked");
  }
}

}  // namespace

void stop_machine(int status) {
  isa::armv7::mask_irqs();
  // Two CPUs at once: the first one does it.
  if (is_stopping.exchange(true)) {
    if (has_this_cpu()) stopped.fetch_or(this_cpu().interface, std::memory_order_release);
    rest();
  }
  unsigned others = 0;
  if (has_this_cpu()) others = running_interfaces() & ~unsigned{this_cpu().interface};
  if (others != 0) gic::send(gic::Sgi::stop, static_cast<gic::CpuMask>(others));
  const Nanoseconds end{timer::now().value + kPatience.value};
  while ((stopped.load(std::memory_order_acquire) & others) != others && timer::now() < end) {
  }
  name_silent_cpus(others & ~stopped.load(std::memory_order_acquire));
  print_line("stopped");
  semihosting::exit(status);
}

void stop_for_bug(const char* message) {
  print("bug");
  if (has_this_cpu()) print(" on CPU ", this_cpu().id);
  print_line(": ", message);
  print_callers(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)));
  stop_machine(kStoppedByFault);
}

void stop_this_cpu(const ExceptionFrame& frame) {
  print_place(frame);
  stopped.fetch_or(this_cpu().interface, std::memory_order_release);
  rest();
}

}  // namespace trapline::armv7_virt
