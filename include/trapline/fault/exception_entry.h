// Emits an exception-table entry beside an instruction: for C++ with inline assembly, and for .S
// files.
//
// An entry is three 32-bit words in the section trapline_ex_table: where the instruction is, where
// to continue, what is guarded. The first two are distances from themselves, so they need no
// relocation at load time, and the section stays read-only and shared. docs/fault.md has the rules.
// Freestanding.
//
// Section flags "aR?": R (SHF_GNU_RETAIN) keeps the entries through --gc-sections, ? puts those of
// a COMDAT function into its group, so that they live and die with it. Needs binutils 2.36 or
// LLVM 13.
#pragma once

// What may go wrong at the instruction. A fault of another sort at the same place is not recovered.
#define TRAPLINE_GUARD_READ 1
#define TRAPLINE_GUARD_WRITE 2
#define TRAPLINE_GUARD_EXECUTE 4      // fetching the instruction itself
#define TRAPLINE_GUARD_INSTRUCTION 8  // undefined, not permitted, or a breakpoint
// The fixup writes the fault word (exception_table.h) into TRAPLINE_FAULT_REGISTER. Without it, no
// register but the program counter changes.
#define TRAPLINE_GUARD_FAULT_WORD 16

#ifdef __ASSEMBLER__

// trapline_exception_entry INSTRUCTION, FIXUP, GUARDS: labels, and a sum of the above.
// clang-format off
.macro trapline_exception_entry instruction, fixup, guards
  .pushsection trapline_ex_table, "aR?"
  .balign 4
  .long \instruction - .
  .long \fixup - .
  .long \guards
  .popsection
.endm
// clang-format on

#else

// The same for inline assembly: strings for two labels ("1b", "%l[failed]"), and one number.
#define TRAPLINE_EXCEPTION_ENTRY(instruction, fixup, guards) \
  ".pushsection trapline_ex_table, \"aR?\"\n"                \
  ".balign 4\n"                                              \
  ".long " instruction                                       \
  " - .\n"                                                   \
  ".long " fixup                                             \
  " - .\n"                                                   \
  ".long " TRAPLINE_GUARD_STRING(guards) "\n.popsection\n"

// An instruction that is skipped if it faults. With TRAPLINE_GUARD_FAULT_WORD, pass the variable
// that TRAPLINE_FAULT_WORD made as a read-and-written operand and look at it afterwards.
#define TRAPLINE_GUARDED(instruction, guards) \
  "661: " instruction "\n662:\n" TRAPLINE_EXCEPTION_ENTRY("661b", "662b", guards)

// Declares `name`, a variable that lives in the register that fixups write to; 0 until then.
// Nothing may stand between it and the assembly: a call would use the register for itself.
#define TRAPLINE_FAULT_WORD(name) register std::uintptr_t name __asm__(TRAPLINE_FAULT_REGISTER) = 0

#define TRAPLINE_GUARD_STRING(guards) TRAPLINE_GUARD_STRING_(guards)
#define TRAPLINE_GUARD_STRING_(guards) #guards

#endif
