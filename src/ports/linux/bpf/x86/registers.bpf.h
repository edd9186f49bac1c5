/* What the programs ask of the registers at a trap: x86-64. */
#pragma once

#include <linux/bpf_perf_event.h>

static __always_inline int trapline_is_user_mode(const bpf_user_pt_regs_t* registers) {
  return (registers->cs & 3) == 3; /* SDM vol. 3, 5.5: the privilege level */
}

static __always_inline __u64 trapline_instruction_pointer(const bpf_user_pt_regs_t* registers) {
  return registers->rip;
}

static __always_inline __u64 trapline_stack_pointer(const bpf_user_pt_regs_t* registers) {
  return registers->rsp;
}
