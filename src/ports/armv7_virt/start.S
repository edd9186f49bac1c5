// Where CPUs start: the first one from the loader, the others from PSCI's CPU_ON.
//
// Both arrive in Supervisor mode with the MMU and caches off and interrupts masked (PSCI, DEN 0022,
// "Initial core configuration"). The first has no memory set up at all; the others get the MMU on
// before they touch a stack, so that they never write around the caches of the rest.

#include "ports/armv7_virt/offsets.h"

  .syntax unified
  .arch armv7-a
  .arch_extension virt
  .arm

  .section .text.start, "ax"

  .global trapline_start
  .type trapline_start, %function
trapline_start:
  cpsid   aif, #0x13
  // Clear .bss: r0 = from, r1 = to.
  ldr     r0, =bss_start
  ldr     r1, =bss_end
  mov     r2, #0
1:
  cmp     r0, r1
  strlo   r2, [r0], #4
  blo     1b
  // The stack of CPU 0's thread: boot_stack_top() in stacks.h gives the same.
  ldr     r0, =trapline_stacks
  ldr     sp, =TASK_STACK_TOP
  add     sp, sp, r0
  ldr     r0, =trapline_build_tables
  blx     r0
  bl      enable_mmu
  ldr     r0, =trapline_boot
  blx     r0
2:
  wfi
  b       2b
  .size trapline_start, . - trapline_start

// r0: the CPU's Cpu, as given to CPU_ON.
  .global trapline_secondary_start
  .type trapline_secondary_start, %function
trapline_secondary_start:
  cpsid   aif, #0x13
  mov     r4, r0
  bl      enable_mmu
  ldr     sp, [r4, #CPU_TASK_STACK_TOP]
  mov     r0, r4
  ldr     r1, =trapline_secondary_boot
  blx     r1
3:
  wfi
  b       3b
  .size trapline_secondary_start, . - trapline_secondary_start

// Turns on the MMU, caches and branch prediction with the one translation table. Changes r0 and r1.
enable_mmu:
  // ACTLR.SMP: take part in coherency, before the caches are on (Cortex-A15 TRM, 4.3.28).
  mrc     p15, 0, r0, c1, c0, 1
  orr     r0, r0, #(1 << 6)
  mcr     p15, 0, r0, c1, c0, 1
  // Invalidate TLBs, the instruction cache and branch predictors.
  mov     r0, #0
  mcr     p15, 0, r0, c8, c7, 0
  mcr     p15, 0, r0, c7, c5, 0
  mcr     p15, 0, r0, c7, c5, 6
  // TTBCR = 0: short descriptors, TTBR0 for all. Walks are write-back cacheable and shareable.
  mcr     p15, 0, r0, c2, c0, 2
  ldr     r0, =trapline_first_level
  orr     r0, r0, #0x4a
  mcr     p15, 0, r0, c2, c0, 0
  // Domain 0: permissions are checked.
  mov     r0, #1
  mcr     p15, 0, r0, c3, c0, 0
  dsb
  isb
  // SCTLR: I (12), Z (11), C (2), M (0) on; A (1), TRE (28), AFE (29), TE (30) off: unaligned
  // accesses work, exceptions are taken in ARM state.
  mrc     p15, 0, r0, c1, c0, 0
  bic     r0, r0, #(7 << 28)
  bic     r0, r0, #(1 << 1)
  orr     r0, r0, #(3 << 11)
  orr     r0, r0, #0x5
  mcr     p15, 0, r0, c1, c0, 0
  dsb
  isb
  bx      lr

// void trapline_switch(std::uint32_t* save, std::uint32_t load): saves the calling thread's stack
// pointer in *save and goes on with the thread whose saved one is `load`. Interrupts are masked.
// r4 to r11 and the return address live on the stack meanwhile.
  .text
  .global trapline_switch
  .type trapline_switch, %function
trapline_switch:
  push    {r4-r11, lr}
  str     sp, [r0]
  mov     sp, r1
  // An exclusive store of the new thread must not succeed on the old one's load.
  clrex
  pop     {r4-r11, pc}
  .size trapline_switch, . - trapline_switch

// Where a new thread begins: r4 is its function, r5 the argument.
  .global trapline_thread_entry
  .type trapline_thread_entry, %function
trapline_thread_entry:
  mov     r0, r5
  blx     r4
4:
  wfi
  b       4b
  .size trapline_thread_entry, . - trapline_thread_entry
