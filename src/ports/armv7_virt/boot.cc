#include "ports/armv7_virt/boot.h"

#include "isa/armv7/system_registers.h"
#include "ports/armv7_virt/cpu.h"
#include "ports/armv7_virt/debug_unit.h"
#include "ports/armv7_virt/faults.h"
#include "ports/armv7_virt/gic.h"
#include "ports/armv7_virt/power.h"
#include "ports/armv7_virt/semihosting.h"
#include "ports/armv7_virt/stacks.h"
#include "ports/armv7_virt/uart.h"
#include "ports/armv7_virt/vectors.h"
#include "ports/armv7_virt/watchdog.h"

extern "C" {
// link.ld.
extern void (*init_array_start[])();
extern void (*init_array_end[])();
// vectors.S.
extern char trapline_vectors[];
// start.S calls it, with the MMU on, on the thread's stack.
void trapline_boot();
}

namespace trapline::armv7_virt {
namespace {

void become_first_cpu() {
  find_cpus();
  Cpu& cpu = cpu_at(first_cpu());
  isa::armv7::write_tpidrprw(reinterpret_cast<std::uintptr_t>(&cpu));
  install_vectors();
  gic::initialize_distributor();
  gic::initialize_cpu_interface();
  cpu.interface = gic::own_interface();
  cpu.has_arrived = true;
}

}  // namespace

void install_vectors() {
  constexpr std::uint32_t kModeAbort = 0x17;
  constexpr std::uint32_t kModeUndefined = 0x1b;
  const CpuStacks& stacks = stacks_of(this_cpu().id);
  isa::armv7::set_banked_stack(kModeAbort, stacks.abort.top());
  isa::armv7::set_banked_stack(kModeUndefined, stacks.undefined.top());
  isa::armv7::write_vbar(reinterpret_cast<std::uintptr_t>(trapline_vectors));
  isa::armv7::isb();
}

}  // namespace trapline::armv7_virt

void trapline_boot() {
  using namespace trapline::armv7_virt;
  uart::initialize();
  become_first_cpu();
  prepare_exception_table();
  debug_unit().discover();
  for (auto* constructor = init_array_start; constructor != init_array_end; ++constructor)
    (*constructor)();
  watchdog::start_ticking();
  trapline::isa::armv7::unmask_irqs();
  semihosting::exit(firmware_main());
}
