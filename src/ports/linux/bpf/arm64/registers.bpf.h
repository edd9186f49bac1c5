/* What the programs ask of the registers at a trap: arm64. */
#pragma once

#include <linux/bpf_perf_event.h>

static __always_inline int trapline_is_user_mode(const bpf_user_pt_regs_t* registers) {
  return (registers->pstate & PSR_MODE_MASK) == PSR_MODE_EL0t;
}

static __always_inline __u64 trapline_instruction_pointer(const bpf_user_pt_regs_t* registers) {
  return registers->pc;
}

static __always_inline __u64 trapline_stack_pointer(const bpf_user_pt_regs_t* registers) {
  return registers->sp;
}
