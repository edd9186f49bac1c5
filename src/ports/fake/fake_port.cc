#include "ports/fake/fake_port.h"

namespace trapline::fake {

FakePort::FakePort(FakeMachine& machine, std::size_t thread_count)
    : machine_(machine),
      threads_(thread_count),
      cpus_(machine.cpu_count()),
      inline_current_(threads_.data()) {
  for (std::uint32_t number = 0; number < thread_count; ++number) {
    threads_[number].number = number;
    threads_[number].slot.held.set_owner(threads_[number]);
  }
  for (std::uint32_t id = 0; id < machine.cpu_count(); ++id) {
    Context& thread = cpus_[id].hotplug_thread;
    thread.cpu = CpuId{id};
    thread.slot.held.set_owner(thread);
  }
}

void FakePort::set_current(Context& context) {
  if (Scheduler* scheduler = Scheduler::active(); scheduler != nullptr) {
    scheduler->set_current(context);
  } else {
    inline_current_ = &context;
  }
}

// Everything but a load or store of a word drains the context's own store buffer.
void FakePort::announce(const Operation& operation) {
  if (Scheduler* scheduler = Scheduler::active(); scheduler != nullptr) {
    scheduler->before(operation);
    scheduler->current().stores.drain();
  }
}

void FakePort::asymmetric_fence_heavy() {
  announce({.kind = Operation::Kind::fence});
  for (Context& thread : threads_) thread.stores.drain();
  for (Cpu& cpu : cpus_) cpu.hotplug_thread.stores.drain();
}

std::expected<void, Error> FakePort::start_cpu(CpuId cpu) {
  announce({.kind = Operation::Kind::start_cpu, .value = cpu.value});
  if (!machine_.is_on(cpu)) {
    if (const auto started = machine_.power_on(cpu); !started) return started;
  }
  cpus_[cpu.value].is_served = true;
  return {};
}

std::expected<void, Error> FakePort::stop_cpu(CpuId cpu) {
  announce({.kind = Operation::Kind::stop_cpu, .value = cpu.value});
  if (!serves(cpu)) fail("stop_cpu of a CPU that was not started");
  if (const auto stopped = machine_.power_off(cpu); !stopped) return stopped;
  cpus_[cpu.value].is_served = false;
  return {};
}

void FakePort::release_cpu(CpuId cpu) {
  announce({.kind = Operation::Kind::stop_cpu, .value = cpu.value});
  if (!serves(cpu)) fail("release_cpu of a CPU that was not started");
  cpus_[cpu.value].is_served = false;
}

// Handing over to the hotplug thread and back is not announced: it is a wait of one for the other,
// and the work announces what it does itself.
void FakePort::run_on(CpuId cpu, Interrupts interrupts, CpuWork work) {
  Context& caller = current();
  if (caller.cpu) fail("run_on from within a CPU's work");
  caller.stores.drain();
  Cpu& it = cpus_[cpu.value];
  while (it.is_busy) {
    Scheduler* scheduler = Scheduler::active();
    if (scheduler == nullptr) fail("run_on a CPU that is at work");
    scheduler->sleep_on({.kind = Operation::Kind::lock, .object = &it});
  }
  if (!it.is_served || !machine_.is_on(cpu)) fail("run_on a CPU that is not started");
  it.is_busy = true;
  it.hotplug_thread.interrupts = interrupts;
  set_current(it.hotplug_thread);
  work.run(work.argument, machine_.may_run_on(cpu));
  it.hotplug_thread.stores.drain();
  set_current(caller);
  it.is_busy = false;
  if (Scheduler* scheduler = Scheduler::active(); scheduler != nullptr) scheduler->wake_all(&it);
}

}  // namespace trapline::fake
