// x86-64: trapline_guarded_copy points to a size_t (void* to, const void* from, size_t count).
// Contract: guarded_copy.h. System V ABI: rdi, rsi, rdx -> rax.
//
// Every load and store has an entry. A vector that crosses into a page that is not there is not copied
// at all: a fault leaves neither part of a store behind, and every store comes after the loads of what it
// writes. So the stores of a block may be done from its start to its end, overlapping at the end, and
// nothing is written behind the first byte that cannot be. What a fault leaves of a block is counted as
// not copied; the caller finds the exact byte.
//
// Blocks as in every memcpy: below one vector two overlapping halves, up to eight vectors two, four or
// eight at once, above that a loop of four with the destination aligned. The vectors are as wide as the
// CPU and the system allow. Where registers 16 to 31 exist, they are used: they need no VZEROUPPER.

#include "trapline/fault/exception_entry.h"
#ifdef __CET__
#include <cet.h>
#else
#define _CET_ENDBR
#endif

  .section .data.rel.local, "aw", @progbits
  .balign 8
// The first copy chooses what the CPU is best at. Any thread may be the first, and all choose the same.
  .globl trapline_guarded_copy
  .hidden trapline_guarded_copy
  .type trapline_guarded_copy, @object
  .size trapline_guarded_copy, 8
trapline_guarded_copy:
  .quad choose_copy

  .bss
  .balign 8
// From so many bytes on, REP MOVSB is used. Below, vectors are faster, as long as both ranges fit into the
// first cache.
string_bytes:
  .zero 8

  .text

// One instruction with an entry of its own.
.macro read fixup, instruction:vararg
.Lread\@:
  \instruction
  trapline_exception_entry .Lread\@, \fixup, TRAPLINE_GUARD_READ
.endm
.macro write fixup, instruction:vararg
.Lwrite\@:
  \instruction
  trapline_exception_entry .Lwrite\@, \fixup, TRAPLINE_GUARD_WRITE
.endm

// Everything was copied. leave_cleared: after the lower 256-bit registers were used, which would make
// SSE code wait.
.macro leave_as_is
  mov %rdx, %rax
  ret
.endm
.macro leave_cleared
  vzeroupper
  leave_as_is
.endm

// Copies rdx bytes, width <= rdx <= 2 * width, and returns: value_a = [from]; value_b = [from + count -
// width]; then both stored.
.macro two_parts move, width, value_a, value_b, as=as_is
  read .Lnothing_\as, \move (%rsi), \value_a
  read .Lnothing_\as, \move -\width(%rsi,%rdx), \value_b
  write .Lnothing_\as, \move \value_a, (%rdi)
  write .Lnothing_\as, \move \value_b, -\width(%rdi,%rdx)
  leave_\as
.endm

// For count >= width. Vectors v0 to v7.
.macro copy_by width, move, v0, v1, v2, v3, v4, v5, v6, v7, as=as_is
  cmp $2 * \width, %rdx
  ja .Lmore_than_two\@
  two_parts \move, \width, \v0, \v1, \as

.Lmore_than_two\@:
  cmp $4 * \width, %rdx
  ja .Lmore_than_four\@
  read .Lnothing_\as, \move (%rsi), \v0
  read .Lnothing_\as, \move \width(%rsi), \v1
  read .Lnothing_\as, \move -2*\width(%rsi,%rdx), \v2
  read .Lnothing_\as, \move -\width(%rsi,%rdx), \v3
  write .Lnothing_\as, \move \v0, (%rdi)
  write .Lnothing_\as, \move \v1, \width(%rdi)
  write .Lnothing_\as, \move \v2, -2*\width(%rdi,%rdx)
  write .Lnothing_\as, \move \v3, -\width(%rdi,%rdx)
  leave_\as

.Lmore_than_four\@:
  cmp $8 * \width, %rdx
  ja .Lmore_than_eight\@
  read .Lnothing_\as, \move (%rsi), \v0
  read .Lnothing_\as, \move \width(%rsi), \v1
  read .Lnothing_\as, \move 2*\width(%rsi), \v2
  read .Lnothing_\as, \move 3*\width(%rsi), \v3
  read .Lnothing_\as, \move -4*\width(%rsi,%rdx), \v4
  read .Lnothing_\as, \move -3*\width(%rsi,%rdx), \v5
  read .Lnothing_\as, \move -2*\width(%rsi,%rdx), \v6
  read .Lnothing_\as, \move -\width(%rsi,%rdx), \v7
  write .Lnothing_\as, \move \v0, (%rdi)
  write .Lnothing_\as, \move \v1, \width(%rdi)
  write .Lnothing_\as, \move \v2, 2*\width(%rdi)
  write .Lnothing_\as, \move \v3, 3*\width(%rdi)
  write .Lnothing_\as, \move \v4, -4*\width(%rdi,%rdx)
  write .Lnothing_\as, \move \v5, -3*\width(%rdi,%rdx)
  write .Lnothing_\as, \move \v6, -2*\width(%rdi,%rdx)
  write .Lnothing_\as, \move \v7, -\width(%rdi,%rdx)
  leave_\as

  // rcx: how far it is; r8: where the last block starts, which is 1 to 4 vectors before the end.
.Lmore_than_eight\@:
  cmp string_bytes(%rip), %rdx
  jae .Lby_string
  read .Lnothing_\as, \move (%rsi), \v0
  write .Lnothing_\as, \move \v0, (%rdi)
  mov %edi, %ecx
  neg %ecx
  and $\width - 1, %ecx
  lea -4*\width(%rdx), %r8
  .balign 32
.Lfour\@:
  read .Lso_far_\as, \move (%rsi,%rcx), \v0
  read .Lso_far_\as, \move \width(%rsi,%rcx), \v1
  read .Lso_far_\as, \move 2*\width(%rsi,%rcx), \v2
  read .Lso_far_\as, \move 3*\width(%rsi,%rcx), \v3
  write .Lso_far_\as, \move \v0, (%rdi,%rcx)
  write .Lso_far_\as, \move \v1, \width(%rdi,%rcx)
  write .Lso_far_\as, \move \v2, 2*\width(%rdi,%rcx)
  write .Lso_far_\as, \move \v3, 3*\width(%rdi,%rcx)
  add $4 * \width, %rcx
  cmp %r8, %rcx
  jb .Lfour\@
  read .Lso_far_\as, \move (%rsi,%r8), \v0
  read .Lso_far_\as, \move \width(%rsi,%r8), \v1
  read .Lso_far_\as, \move 2*\width(%rsi,%r8), \v2
  read .Lso_far_\as, \move 3*\width(%rsi,%r8), \v3
  write .Lso_far_\as, \move \v0, (%rdi,%r8)
  write .Lso_far_\as, \move \v1, \width(%rdi,%r8)
  write .Lso_far_\as, \move \v2, 2*\width(%rdi,%r8)
  write .Lso_far_\as, \move \v3, 3*\width(%rdi,%r8)
  leave_\as
.endm

  // One frame description for all: none of them moves the stack pointer.
  .type guarded_copies, @function
  .balign 64
guarded_copies:
  .cfi_startproc
.Lby_64:
  _CET_ENDBR
  cmp $64, %rdx
  jbe .Lup_to_64
  copy_by 64, vmovdqu64, %zmm16, %zmm17, %zmm18, %zmm19, %zmm20, %zmm21, %zmm22, %zmm23

  .balign 64
.Lby_32:
  _CET_ENDBR
  cmp $32, %rdx
  jb .Lbelow_32
  copy_by 32, vmovdqu, %ymm0, %ymm1, %ymm2, %ymm3, %ymm4, %ymm5, %ymm6, %ymm7, cleared

  .balign 64
.Lby_16:
  _CET_ENDBR
  cmp $16, %rdx
  jb .Lbelow_16
  copy_by 16, movups, %xmm0, %xmm1, %xmm2, %xmm3, %xmm4, %xmm5, %xmm6, %xmm7

  // Two overlapping parts, or one byte. Of 64 bytes too: one vector that begins anywhere lies across two cache
  // lines, and would be copied twice.
.Lup_to_64:
  cmp $32, %rdx
  jb .Lbelow_32
  two_parts vmovdqu64, 32, %ymm16, %ymm17
.Lbelow_32:
  cmp $16, %rdx
  jb .Lbelow_16
  two_parts movups, 16, %xmm0, %xmm1
.Lbelow_16:
  cmp $8, %edx
  jb .Lbelow_8
  two_parts mov, 8, %rax, %rcx
.Lbelow_8:
  cmp $4, %edx
  jb .Lbelow_4
  two_parts mov, 4, %eax, %ecx
.Lbelow_4:
  cmp $2, %edx
  jb .Lbelow_2
  two_parts mov, 2, %ax, %cx
.Lbelow_2:
  test %edx, %edx
  jz .Lnothing_as_is
  read .Lnothing_as_is, movzbl (%rsi), %eax
  write .Lnothing_as_is, mov %al, (%rdi)
  mov $1, %eax
  ret

  // rcx counts down, also when it faults.
.Lby_string:
  mov %rdx, %rcx
.Lstring:
  rep movsb
  trapline_exception_entry .Lstring, .Lstring_faulted, TRAPLINE_GUARD_READ | TRAPLINE_GUARD_WRITE
.Lstring_faulted:
  mov %rdx, %rax
  sub %rcx, %rax
  ret

  // Where faults continue. In a loop, rcx is how far it is.
.Lnothing_cleared:
  vzeroupper
.Lnothing_as_is:
  xor %eax, %eax
  ret
.Lso_far_cleared:
  vzeroupper
.Lso_far_as_is:
  mov %rcx, %rax
  ret

  // CPUID (SDM vol. 2): leaf 1, ECX 27 OSXSAVE and 28 AVX; leaf 7, EBX 5 AVX2, 9 ERMS, 16 AVX512F, 31
  // AVX512VL, EDX 4 FSRM, which only CPUs have that do not slow down for 512-bit registers. XCR0: 1 SSE, 2 AVX, 5 to 7 AVX-512.
choose_copy:
  _CET_ENDBR
  mov %rbx, %r8
  .cfi_register %rbx, %r8
  mov %rdx, %r9
  lea .Lby_16(%rip), %r10
  movq $-1, string_bytes(%rip)
  xor %eax, %eax
  cpuid
  cmp $7, %eax
  jb .Lchosen
  mov $1, %eax
  cpuid
  mov %ecx, %r11d
  mov $7, %eax
  xor %ecx, %ecx
  cpuid
  bt $9, %ebx
  jnc .Lno_fast_strings
  movq $24576, string_bytes(%rip)
.Lno_fast_strings:
  and $(1 << 27) | (1 << 28), %r11d
  cmp $(1 << 27) | (1 << 28), %r11d
  jne .Lchosen
  mov %edx, %r11d
  xor %ecx, %ecx
  xgetbv
  mov %eax, %ecx
  and $0x6, %eax
  cmp $0x6, %eax
  jne .Lchosen
  bt $5, %ebx
  jnc .Lchosen
  lea .Lby_32(%rip), %r10
  and $0xe6, %ecx
  cmp $0xe6, %ecx
  jne .Lchosen
  and $(1 << 16) | (1 << 31), %ebx
  cmp $(1 << 16) | (1 << 31), %ebx
  jne .Lchosen
  bt $4, %r11d
  jnc .Lchosen
  lea .Lby_64(%rip), %r10
.Lchosen:
  mov %r8, %rbx
  .cfi_restore %rbx
  mov %r9, %rdx
  mov %r10, trapline_guarded_copy(%rip)
  jmp *%r10
  .cfi_endproc
  .size guarded_copies, . - guarded_copies

  .section .note.GNU-stack, "", @progbits
