// Armv7 has no collector bpf: its kernels allow no overflow handler of one's own on a watchpoint
// (arch/arm/kernel/hw_breakpoint.c steps over the access only for the default one), and a program's
// pt_regs, words of 32 bits, is not what a BPF program's C makes of it.
#include "ports/linux/bpf/bpf_collector.h"
#include "ports/linux/bpf/bpf_machine_collector.h"
#include "ports/linux/self_test.h"

namespace trapline::linux_port {

Result<void> self_test_bpf() {
  return fail(ErrorCode::not_supported, "there is no collector bpf on Armv7");
}

std::unique_ptr<MachineCollector> make_bpf_machine_collector() {
  return nullptr;
}

void print_bpf_messages() {}

std::unique_ptr<Collector> make_bpf_collector() {
  return nullptr;
}

}  // namespace trapline::linux_port
