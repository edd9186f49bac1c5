#include "ports/armv7_virt/threads.h"

#include <utility>

#include "ports/armv7_virt/power.h"
#include "ports/armv7_virt/stacks.h"
#include "ports/armv7_virt/stop.h"

extern "C" {
// start.S.
void trapline_switch(std::uint32_t* save, std::uint32_t load);
void trapline_thread_entry();
}

alignas(trapline::armv7_virt::CpuStacks)
    __attribute__((section(".stacks"))) trapline::armv7_virt::CpuStacks
    trapline_stacks[trapline::armv7_virt::kMaxBoardCpus];

namespace trapline::armv7_virt {
namespace {

// IRQs are masked, and are again when the caller goes on.
void switch_to(Cpu& cpu, Thread& thread) {
  Thread& caller = *std::exchange(cpu.current, &thread);
  trapline_switch(&caller.saved_sp, thread.saved_sp);
}

void serve_hotplug_mail(void* argument) {
  Cpu& cpu = *static_cast<Cpu*>(argument);
  HotplugMailbox& mail = cpu.hotplug_mail;
  while (true) {
    // Pairs with the release in run_on_hotplug_thread: the work is there to be read.
    while (mail.state.load(std::memory_order_acquire) != HotplugMailbox::kPosted)
      switch_to(cpu, cpu.thread);
    if (mail.interrupts == Interrupts::enabled) isa::armv7::unmask_irqs();
    mail.work.run(mail.work.argument, true);
    isa::armv7::mask_irqs();
    const CpuId sender = mail.sender;
    // Pairs with the acquire in run_on_hotplug_thread: what the work did is seen there.
    mail.state.store(HotplugMailbox::kEmpty, std::memory_order_release);
    wake(sender);
  }
}

// One at a time gets it; false: somebody has it. The first CPU's is never to be had.
bool claim_thread(CpuId cpu, std::uint32_t state) {
  std::uint32_t idle = ThreadMailbox::kIdle;
  // Pairs with the release of whoever let go of it.
  return cpu != first_cpu() && cpu_at(cpu).thread_mail.state.compare_exchange_strong(
                                   idle, state, std::memory_order_acquire);
}

// What trapline_switch finds on a stack: r4 to r11 and where to go on.
struct SavedThread {
  std::uint32_t r4_to_r11[8];
  std::uint32_t pc;
  std::uint32_t padding;  // the stack is aligned to eight when the thread begins
};

}  // namespace

void prepare_threads(Cpu& cpu) {
  cpu.task_stack_top = stacks_of(cpu.id).task.top();
  cpu.emergency_stack_top = stacks_of(cpu.id).emergency.top();
  cpu.current = &cpu.thread;
  auto* const saved =
      reinterpret_cast<SavedThread*>(stacks_of(cpu.id).hotplug.top() - sizeof(SavedThread));
  *saved = {};
  saved->r4_to_r11[0] = reinterpret_cast<std::uintptr_t>(&serve_hotplug_mail);
  saved->r4_to_r11[1] = reinterpret_cast<std::uintptr_t>(&cpu);
  saved->pc = reinterpret_cast<std::uintptr_t>(&trapline_thread_entry);
  cpu.hotplug.saved_sp = reinterpret_cast<std::uintptr_t>(saved);
  cpu.hotplug.waits = false;
  cpu.hotplug_mail.state.store(HotplugMailbox::kEmpty, std::memory_order_relaxed);
  cpu.thread_mail.state.store(ThreadMailbox::kClosed, std::memory_order_relaxed);
}

void serve_thread_mail() {
  Cpu& cpu = this_cpu();
  ThreadMailbox& mail = cpu.thread_mail;
  while (true) {
    // Pairs with the release in start_thread: the work is there to be read.
    wait_while(
        [&] { return mail.state.load(std::memory_order_acquire) != ThreadMailbox::kPosted; });
    mail.run(mail.argument);
    const CpuId sender = mail.sender;
    mail.state.store(ThreadMailbox::kIdle, std::memory_order_release);
    wake(sender);
  }
}

void reschedule() {
  Cpu& cpu = this_cpu();
  if (cpu.current != &cpu.thread) return;
  const bool has_work =
      cpu.hotplug_mail.state.load(std::memory_order_acquire) == HotplugMailbox::kPosted;
  if (has_work || cpu.hotplug.waits) switch_to(cpu, cpu.hotplug);
}

void run_on_hotplug_thread(CpuId cpu, Interrupts interrupts, CpuWork work) {
  Cpu& target = cpu_at(cpu);
  HotplugMailbox& mail = target.hotplug_mail;
  if (this_cpu().current == &this_cpu().hotplug) stop_for_bug("run_on from within such work");
  if (!target.has_arrived) stop_for_bug("run_on a CPU that does not run");
  if (mail.state.load(std::memory_order_acquire) != HotplugMailbox::kEmpty)
    stop_for_bug("run_on a CPU that is at work");
  mail.work = work;
  mail.interrupts = interrupts;
  mail.sender = this_cpu().id;
  mail.state.store(HotplugMailbox::kPosted, std::memory_order_release);
  wake(cpu);
  wait_while([&] { return mail.state.load(std::memory_order_acquire) == HotplugMailbox::kPosted; });
}

std::expected<void, Error> start_thread(CpuId cpu, void (*run)(void*), void* argument) {
  Cpu& target = cpu_at(cpu);
  if (!target.has_arrived) return std::unexpected(Error{ErrorCode::cpu_not_present});
  if (!claim_thread(cpu, ThreadMailbox::kClaimed))
    return std::unexpected(Error{ErrorCode::wrong_state});
  target.thread_mail.run = run;
  target.thread_mail.argument = argument;
  target.thread_mail.sender = this_cpu().id;
  target.thread_mail.state.store(ThreadMailbox::kPosted, std::memory_order_release);
  wake(cpu);
  return {};
}

void join_thread(CpuId cpu) {
  wait_while([cpu] { return thread_is_at_work(cpu); });
}

bool thread_is_at_work(CpuId cpu) {
  if (cpu == first_cpu()) return true;
  const std::uint32_t state = cpu_at(cpu).thread_mail.state.load(std::memory_order_acquire);
  return state == ThreadMailbox::kClaimed || state == ThreadMailbox::kPosted;
}

bool close_thread(CpuId cpu) {
  return claim_thread(cpu, ThreadMailbox::kClosed);
}

void reopen_thread(CpuId cpu) {
  cpu_at(cpu).thread_mail.state.store(ThreadMailbox::kIdle, std::memory_order_release);
}

void sleep_masked() {
  Cpu& cpu = this_cpu();
  if (cpu.current == &cpu.hotplug) {
    // The CPU's own thread may have what this one waits for. The next interrupt comes back here.
    cpu.hotplug.waits = true;
    switch_to(cpu, cpu.thread);
    cpu.hotplug.waits = false;
  } else {
    isa::armv7::wfi();
  }
}

void check_may_wait() {
  if (isa::armv7::irqs_are_masked()) stop_for_bug("waiting with interrupts masked");
}

}  // namespace trapline::armv7_virt
