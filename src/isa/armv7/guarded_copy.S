// Armv7-A: size_t trapline_guarded_copy(void* to, const void* from, size_t count)
// Contract: guarded_copy.h. AAPCS: r0, r1, r2 -> r0. ARM state, called from either.
//
// A store that crosses into a page that is not there may leave its other part behind, so the destination is
// aligned first: an aligned word never crosses. Loads may; where the CPU is told to refuse unaligned ones
// (SCTLR.A), a difference in alignment ends the copy by words before it begins, as any fault does.

#include "trapline/fault/exception_entry.h"

.macro read instruction:vararg
.Lread\@:
  \instruction
  trapline_exception_entry .Lread\@, .Lso_far, TRAPLINE_GUARD_READ
.endm
.macro write instruction:vararg
.Lwrite\@:
  \instruction
  trapline_exception_entry .Lwrite\@, .Lso_far, TRAPLINE_GUARD_WRITE
.endm

  .syntax unified
  .text
  .arm
  .globl trapline_guarded_copy
  .hidden trapline_guarded_copy
  .type trapline_guarded_copy, %function
  .balign 16
// r3: how far it is, r2: how much is left, r12: what is copied.
trapline_guarded_copy:
  .fnstart
  mov r3, #0
.Lalign:
  add r12, r0, r3
  tst r12, #3
  beq .Laligned
  cmp r2, #0
  beq .Lso_far
  read ldrb r12, [r1, r3]
  write strb r12, [r0, r3]
  add r3, r3, #1
  sub r2, r2, #1
  b .Lalign
.Laligned:
  subs r2, r2, #4
  blo .Lrest
.Lword:
  read ldr r12, [r1, r3]
  write str r12, [r0, r3]
  add r3, r3, #4
  subs r2, r2, #4
  bhs .Lword
.Lrest:
  adds r2, r2, #4
.Lbytes:
  beq .Lso_far
  read ldrb r12, [r1, r3]
  write strb r12, [r0, r3]
  add r3, r3, #1
  subs r2, r2, #1
  b .Lbytes
.Lso_far:
  mov r0, r3
  bx lr
  .fnend
  .size trapline_guarded_copy, . - trapline_guarded_copy

  .section .note.GNU-stack, "", %progbits
