// How a guarded instruction reports to C++: by a jump to where the failure is handled, or, where
// the compiler cannot do that, by a register that is looked at afterwards.
//
// Only for the headers of isa. Freestanding.
#pragma once

#include <cstdint>

#include "trapline/fault/exception_entry.h"

// asm goto with outputs gives wrong code before these: GCC bugs 110420 and 110422, clang before 17
// takes outputs only where it does not jump.
#ifndef TRAPLINE_ASM_GOTO_OUTPUTS
#if defined(__clang__)
#define TRAPLINE_ASM_GOTO_OUTPUTS (__clang_major__ >= 17)
#elif __GNUC__ > 13 || (__GNUC__ == 13 && __GNUC_MINOR__ >= 3) || \
    (__GNUC__ == 12 && __GNUC_MINOR__ >= 4) || (__GNUC__ == 11 && __GNUC_MINOR__ >= 5)
#define TRAPLINE_ASM_GOTO_OUTPUTS 1
#else
#define TRAPLINE_ASM_GOTO_OUTPUTS 0
#endif
#endif

// TRAPLINE_GUARDED_OPERATION(code, outputs, inputs, clobbers): the body of a function that returns
// the fault word, 0 if `code` ran to its end. `code` has its own entries, all of which continue at
// TRAPLINE_FIXUP with TRAPLINE_GUARD_FAULT_WORD. The lists are in parentheses.
//
// Nothing is cleared by success and nothing is set before a failure but by the fixup itself: a tool
// that runs the program on registers of its own (valgrind) may not have the others right at a
// fault.
// NOLINTBEGIN(bugprone-macro-parentheses): the arguments are strings and lists
#if TRAPLINE_ASM_GOTO_OUTPUTS
#define TRAPLINE_FIXUP "%l[failed]"
#define TRAPLINE_GUARDED_OPERATION(code, outputs, inputs, clobbers) \
  register std::uintptr_t word __asm__(TRAPLINE_FAULT_REGISTER);    \
  __asm__ goto volatile(code                                        \
                        : TRAPLINE_LIST outputs, "=r"(word)         \
                        : TRAPLINE_LIST inputs                      \
                        : TRAPLINE_LIST clobbers                    \
                        : failed);                                  \
  return 0;                                                         \
  failed:                                                           \
  return word
#else
#define TRAPLINE_FIXUP "669f"
#define TRAPLINE_GUARDED_OPERATION(code, outputs, inputs, clobbers) \
  TRAPLINE_FAULT_WORD(word);                                        \
  __asm__ volatile(code "669:\n"                                    \
                   : TRAPLINE_LIST outputs, "+r"(word)              \
                   : TRAPLINE_LIST inputs                           \
                   : TRAPLINE_LIST clobbers);                       \
  return word
#endif
#define TRAPLINE_LIST(...) __VA_ARGS__
// NOLINTEND(bugprone-macro-parentheses)

// A constant address, or an object that is smaller than what is loaded, is what these are for: no
// warning.
#define TRAPLINE_QUIET_BEGIN                                                     \
  _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wpragmas\"") \
      _Pragma("GCC diagnostic ignored \"-Wunknown-warning-option\"")             \
          _Pragma("GCC diagnostic ignored \"-Warray-bounds\"")                   \
              _Pragma("GCC diagnostic ignored \"-Wstringop-overflow\"")
#define TRAPLINE_QUIET_END _Pragma("GCC diagnostic pop")

namespace trapline::isa {

// Memory as an operand of assembly: of any alignment, and whatever type the program has there.
template <typename U>
using Anywhere [[gnu::aligned(1), gnu::may_alias]] = U;

}  // namespace trapline::isa
