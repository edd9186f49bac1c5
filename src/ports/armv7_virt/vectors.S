// The exception vectors: each saves the interrupted context as an ExceptionFrame (frame.h) and calls
// its handler with it; what the handler leaves in the frame is restored.
//
// Faults run in the mode they are taken to, on that mode's stack, so that a broken stack of the
// interrupted code does not matter. Interrupts run in Supervisor mode on the interrupted thread's
// stack, so that a handler can switch threads.

#include "ports/armv7_virt/offsets.h"

  .syntax unified
  .arch armv7-a
  .arm

  .set MODE_USER, 0x10
  .set MODE_SUPERVISOR, 0x13
  .set MODE_ABORT, 0x17
  .set MODE_UNDEFINED, 0x1b
  .set MODE_SYSTEM, 0x1f

  // struct ExceptionFrame
  .set FRAME_SP, 52
  .set FRAME_LR, 56
  .set FRAME_SIZE, 68

  .text
  .balign 32
  .global trapline_vectors
trapline_vectors:
  b       on_reset
  b       on_undefined
  b       on_supervisor_call
  b       on_prefetch_abort
  b       on_data_abort
  b       on_reset                 // not used without Hyp mode
  b       on_irq
  b       on_fiq

// The frame, on the stack of `mode`, which is the current one: saves r0 to r12, sp and lr of the
// interrupted mode, and (by srsdb) the return address and cpsr.
  .macro save_frame mode
  srsdb   sp!, #\mode
  sub     sp, sp, #8
  stmdb   sp!, {r0-r12}
  add     r3, sp, #FRAME_SIZE
  mov     r4, #0                  // a fault in this very mode has lost the mode's lr
  mrs     r2, spsr
  and     r2, r2, #0x1f
  cmp     r2, #\mode
  beq     1f
  cmp     r2, #MODE_USER
  moveq   r2, #MODE_SYSTEM        // has the same sp and lr, and lets us back
  mrs     r5, cpsr
  bic     r6, r5, #0x1f
  orr     r6, r6, r2
  msr     cpsr_c, r6
  mov     r3, sp
  mov     r4, lr
  msr     cpsr_c, r5
1:
  str     r3, [sp, #FRAME_SP]
  str     r4, [sp, #FRAME_LR]
  .endm

// Goes to `full` if the stack of Abort mode, the current one, has no room for a frame: its guard lies
// below it, and one bit of an address tells which of the two it is in (stacks.h). There is no register
// to spare, but the flags are: the interrupted ones are in the spsr.
  .macro check_abort_stack full
  sub     sp, sp, #FRAME_SIZE
  tst     sp, #ABORT_STACK_SIZE
  add     sp, sp, #FRAME_SIZE
  beq     \full
  .endm

// Calls `handler` with the frame, on an aligned stack, and returns to what the frame says.
  .macro call_handler handler
  mov     r0, sp
  mov     r4, sp
  bic     sp, sp, #7
  ldr     r1, =\handler
  blx     r1
  mov     sp, r4
  ldmia   sp!, {r0-r12}
  add     sp, sp, #8
  // Between an exclusive load and its store: the store has to fail.
  clrex
  rfeia   sp!
  .endm

// Faults leave the return address as the exception gives it; the handlers correct it
// (regs/armv7/exception_state.h).
on_undefined:
  save_frame MODE_UNDEFINED
  call_handler trapline_on_undefined

on_supervisor_call:
  // Nobody has a use for it here but semihosting, which an emulator takes before.
  save_frame MODE_SUPERVISOR
  call_handler trapline_on_supervisor_call

on_prefetch_abort:
  check_abort_stack on_abort_stack_full
  save_frame MODE_ABORT
  call_handler trapline_on_prefetch_abort

on_data_abort:
  check_abort_stack on_abort_stack_full
  save_frame MODE_ABORT
  call_handler trapline_on_data_abort

// sp = this_cpu().emergency_stack_top; the one before is of no use any more.
on_abort_stack_full:
  mrc     p15, 0, sp, c13, c0, 4
  ldr     sp, [sp, #CPU_EMERGENCY_STACK_TOP]
  save_frame MODE_ABORT
  call_handler trapline_on_abort_stack_full

on_irq:
  sub     lr, lr, #4
  srsdb   sp!, #MODE_SUPERVISOR
  cps     #MODE_SUPERVISOR
  sub     sp, sp, #8
  stmdb   sp!, {r0-r12}
  add     r3, sp, #FRAME_SIZE
  str     r3, [sp, #FRAME_SP]
  str     lr, [sp, #FRAME_LR]
  mov     r0, sp
  mov     r4, sp
  bic     sp, sp, #7
  ldr     r1, =trapline_on_irq
  blx     r1
  mov     sp, r4
  ldr     lr, [sp, #FRAME_LR]
  ldmia   sp!, {r0-r12}
  add     sp, sp, #8
  clrex
  rfeia   sp!

// Nothing is configured to raise either.
on_reset:
on_fiq:
  b       .
