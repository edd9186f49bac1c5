// Debug registers by number: each function jumps into a table with a piece of code for each register
// (debug_access.h has the order of the numbers).

#include "trapline/fault/exception_entry.h"

  .syntax unified
  .arch armv7-a
  .arm
  .text

// Invokes `piece` with the operands of every register, in the order of DebugRegister.
  .macro for_each_register piece
  .irp opc2, 4, 5, 6, 7                 // DBGBVR, DBGBCR, DBGWVR, DBGWCR
  .irp index, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
  \piece  c0, c\index, \opc2
  .endr
  .endr
  \piece  c0, c0, 0                     // DBGDIDR
  \piece  c0, c2, 2                     // DBGDSCRext
  \piece  c0, c7, 0                     // DBGVCR
  \piece  c1, c0, 4                     // DBGOSLAR
  \piece  c1, c1, 4                     // DBGOSLSR
  \piece  c1, c3, 4                     // DBGOSDLR
  \piece  c7, c14, 6                    // DBGAUTHSTATUS
  .endm

// Jumps to piece r0 of the table that follows, pieces of eight bytes. Changes r12.
  .macro jump_into_table
  adr     r12, 0f
  add     r12, r12, r0, lsl #3
  bx      r12
0:
  .endm

  .macro plain_read crn, crm, opc2
  mrc     p14, 0, r0, \crn, \crm, \opc2
  bx      lr
  .endm
  .macro plain_write crn, crm, opc2
  mcr     p14, 0, r1, \crn, \crm, \opc2
  bx      lr
  .endm
  .macro safe_read crn, crm, opc2
5:
  mrc     p14, 0, r2, \crn, \crm, \opc2
  b       read_done
  trapline_exception_entry 5b, access_failed, TRAPLINE_GUARD_INSTRUCTION
  .endm
  .macro safe_write crn, crm, opc2
5:
  mcr     p14, 0, r1, \crn, \crm, \opc2
  b       write_done
  trapline_exception_entry 5b, access_failed, TRAPLINE_GUARD_INSTRUCTION
  .endm

// std::uint32_t trapline_dbg_read(std::uint32_t number)
  .global trapline_dbg_read
  .type trapline_dbg_read, %function
trapline_dbg_read:
  jump_into_table
  for_each_register plain_read
  .size trapline_dbg_read, . - trapline_dbg_read

// void trapline_dbg_write(std::uint32_t number, std::uint32_t value)
  .global trapline_dbg_write
  .type trapline_dbg_write, %function
trapline_dbg_write:
  jump_into_table
  for_each_register plain_write
  .size trapline_dbg_write, . - trapline_dbg_write

// bool trapline_dbg_read_safe(std::uint32_t number, std::uint32_t* value): the fault handler goes on at
// access_failed, the only place that says false.
  .global trapline_dbg_read_safe
  .type trapline_dbg_read_safe, %function
trapline_dbg_read_safe:
  jump_into_table
  for_each_register safe_read
read_done:
  str     r2, [r1]
write_done:
  mov     r0, #1
  bx      lr
access_failed:
  mov     r0, #0
  bx      lr
  .size trapline_dbg_read_safe, . - trapline_dbg_read_safe

// bool trapline_dbg_write_safe(std::uint32_t number, std::uint32_t value)
  .global trapline_dbg_write_safe
  .type trapline_dbg_write_safe, %function
trapline_dbg_write_safe:
  jump_into_table
  for_each_register safe_write
  .size trapline_dbg_write_safe, . - trapline_dbg_write_safe
