// arm64: size_t trapline_guarded_copy(void* to, const void* from, size_t count)
// Contract: guarded_copy.h. AAPCS64: x0, x1, x2 -> x0.
//
// A store that crosses into a page that is not there may leave its other part behind, so the destination
// is aligned first: an aligned pair never crosses. Loads may.

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

  .text
  .globl trapline_guarded_copy
  .hidden trapline_guarded_copy
  .type trapline_guarded_copy, %function
  .balign 16
// x3: how far it is, x2: how much is left, x4 to x7: what is copied.
trapline_guarded_copy:
  .cfi_startproc
  hint #34                          // bti c
  mov x3, #0
.Lalign:
  add x4, x0, x3
  tst x4, #15
  b.eq .Laligned
  cbz x2, .Lso_far
  read ldrb w5, [x1, x3]
  write strb w5, [x4]
  add x3, x3, #1
  sub x2, x2, #1
  b .Lalign
.Laligned:
  subs x2, x2, #32
  b.lo .Lrest
  add x8, x0, x3
  add x9, x1, x3
.Ltwo_pairs:
  read ldp x4, x5, [x9]
  read ldp x6, x7, [x9, #16]
  write stp x4, x5, [x8]
  write stp x6, x7, [x8, #16]
  add x3, x3, #32
  add x8, x8, #32
  add x9, x9, #32
  subs x2, x2, #32
  b.hs .Ltwo_pairs
.Lrest:
  adds x2, x2, #32
.Lbytes:
  b.eq .Lso_far
  read ldrb w4, [x1, x3]
  write strb w4, [x0, x3]
  add x3, x3, #1
  subs x2, x2, #1
  b .Lbytes
.Lso_far:
  mov x0, x3
  ret
  .cfi_endproc
  .size trapline_guarded_copy, . - trapline_guarded_copy

  .section .note.GNU-stack, "", %progbits
