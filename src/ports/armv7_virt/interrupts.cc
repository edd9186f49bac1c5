// What becomes of an interrupt (vectors.S): the GIC says which it is, its owner deals with it, and
// the hotplug thread runs if there is reason to.
#include "ports/armv7_virt/interrupts.h"

#include "ports/armv7_virt/cpu.h"
#include "ports/armv7_virt/debug_events.h"
#include "ports/armv7_virt/gic.h"
#include "ports/armv7_virt/memory_map.h"
#include "ports/armv7_virt/print.h"
#include "ports/armv7_virt/stop.h"
#include "ports/armv7_virt/threads.h"
#include "ports/armv7_virt/watchdog.h"

extern "C" void trapline_on_irq(trapline::armv7_virt::ExceptionFrame* frame);

namespace trapline::armv7_virt {
namespace {

InterruptHandler uart_handler = nullptr;

void deal_with(std::uint32_t interrupt, const ExceptionFrame& frame) {
  switch (interrupt) {
    case static_cast<std::uint32_t>(gic::Sgi::wake):
      break;  // whoever waits looks again
    case static_cast<std::uint32_t>(gic::Sgi::stop):
      stop_this_cpu(frame);
    case kVirtualTimerInterrupt:
      watchdog::on_tick(frame);
      break;
    case kUartInterrupt:
      if (uart_handler != nullptr) uart_handler();
      break;
    default:
      print_line("CPU ", this_cpu().id, ": interrupt ", interrupt, " that nobody enabled");
  }
}

}  // namespace

void set_uart_handler(InterruptHandler handler) {
  uart_handler = handler;
  gic::enable_shared(kUartInterrupt, this_cpu().interface);
}

}  // namespace trapline::armv7_virt

void trapline_on_irq(trapline::armv7_virt::ExceptionFrame* frame) {
  using namespace trapline::armv7_virt;
  // Only in the loop of an exclusive store do steps take interrupts.
  debug_events::abandon_step(*frame, Ending::not_seen);
  const std::uint32_t acknowledged = gic::acknowledge();
  const std::uint32_t interrupt = gic::interrupt_of(acknowledged);
  if (interrupt != gic::kSpurious) {
    deal_with(interrupt, *frame);
    gic::complete(acknowledged);
  }
  reschedule();
}
