#include "mishaps.h"

#include "isa/armv7/instruction_at.h"
#include "isa/armv7/system_registers.h"
#include "ports/armv7_virt/faults.h"
#include "ports/armv7_virt/power.h"
#include "ports/armv7_virt/print.h"
#include "ports/armv7_virt/stacks.h"
#include "ports/armv7_virt/threads.h"
#include "ports/armv7_virt/undef_hook.h"
#include "ports/armv7_virt/watchdog.h"

namespace trapline::firmware {
namespace {

using armv7_virt::ExceptionFrame;
using armv7_virt::print_line;

constexpr std::uint32_t kUdf = 0xe7f000f0;  // udf #0

void execute_udf(void* /*argument*/) {
  asm volatile("udf #0");
}

bool skip(ExceptionFrame& frame, std::uint32_t /*instruction*/) {
  frame.continue_at(frame.pc + 4);
  return true;
}

bool fault_itself(ExceptionFrame& /*frame*/, std::uint32_t /*instruction*/) {
  asm volatile("udf #1");
  return false;
}

bool go_on_behind(ExceptionFrame& frame) {
  const bool is_narrow = frame.is_thumb() && isa::armv7::instruction_at(frame.pc, true) <= 0xffff;
  frame.continue_at(frame.pc + (is_narrow ? 2U : 4U));
  print_line("the console goes on behind the instruction");
  return true;
}

void undefined_with(CpuId cpu, armv7_virt::UndefHandler handler, std::uint32_t mask = 0xffffffff) {
  armv7_virt::UndefHook hook(mask, kUdf, 0, 0, handler);
  armv7_virt::register_undef_hook(hook);
  run_on_thread(cpu, &execute_udf, nullptr);
  armv7_virt::unregister_undef_hook(hook);
}

}  // namespace

void run_on_thread(CpuId cpu, void (*run)(void*), void* argument) {
  if (cpu == armv7_virt::first_cpu()) {
    run(argument);
    return;
  }
  if (armv7_virt::start_thread(cpu, run, argument)) {
    armv7_virt::join_thread(cpu);
  } else {
    print_line("the thread of CPU ", cpu, " is at work");
  }
}

void undefined(CpuId cpu) {
  run_on_thread(cpu, &execute_udf, nullptr);
}

void undefined_with_hook(CpuId cpu) {
  undefined_with(cpu, &skip);
  print_line("a hook took the undefined instruction of CPU ", cpu, ": nobody is told");
}

void undefined_with_faulting_hook(CpuId cpu) {
  undefined_with(cpu, &fault_itself);
}

void undefined_in_a_circle(CpuId cpu) {
  constexpr std::uint32_t kAnyUdf = 0xfff000f0;
  undefined_with(cpu, &fault_itself, kAnyUdf);
}

void abort_without_stack(CpuId cpu) {
  run_on_thread(
      cpu,
      [](void* /*argument*/) {
        constexpr std::uint32_t kModeAbort = 0x17;
        const isa::armv7::IrqMask masked;
        // Room for a few words of the frame.
        const std::uintptr_t bottom =
            armv7_virt::stacks_of(armv7_virt::this_cpu().id).abort.bottom();
        isa::armv7::set_banked_stack(kModeAbort, bottom + 32);
        asm volatile("ldr r1, [%[from]]" : : [from] "r"(0x10) : "r1");
      },
      nullptr);
}

void hang(CpuId cpu, bool masked) {
  armv7_virt::watchdog::expect("the command 'stuck'", Nanoseconds{1'000'000'000});
  run_on_thread(
      cpu,
      [](void* is_masked) {
        if (*static_cast<bool*>(is_masked)) isa::armv7::mask_irqs();
        while (true) asm volatile("nop");
      },
      &masked);
}

void keep_console_after_faults() {
  armv7_virt::set_last_resort(&go_on_behind);
}

}  // namespace trapline::firmware
