// x86-64: loads, stores and atomic exchanges that may fault.
//
// Each returns the fault word, 0 if the access was done; U is an unsigned integer of 1, 2, 4 or 8
// bytes. The named instruction is the only one that touches the memory. Freestanding; any context
// in which the fault's handler may run.
#pragma once

#include <cstdint>

// No instruction but SYSCALL has it as an implied operand.
#define TRAPLINE_FAULT_REGISTER "r11"

#include "trapline/fault/detail/guarded_operation.h"

#define TRAPLINE_X86_ACCESS(instruction, guards) \
  "661: " instruction "\n" TRAPLINE_EXCEPTION_ENTRY("661b", TRAPLINE_FIXUP, (guards) | 16)

TRAPLINE_QUIET_BEGIN
// NOLINTBEGIN(bugprone-macro-parentheses): the arguments are types
namespace trapline::isa {

// Short values are widened, as compilers do: writing a part of a register waits for the rest of it.
#define TRAPLINE_X86_LOAD(type, instruction)                                                  \
  [[gnu::always_inline]] inline std::uintptr_t guarded_load(const void* from, type& value) {  \
    TRAPLINE_GUARDED_OPERATION(TRAPLINE_X86_ACCESS(instruction, TRAPLINE_GUARD_READ),         \
                               ([value] "=r"(value)),                                         \
                               ([where] "m"(*static_cast<const Anywhere<type>*>(from))), ()); \
  }
TRAPLINE_X86_LOAD(std::uint8_t, "movzbl %[where], %k[value]")
TRAPLINE_X86_LOAD(std::uint16_t, "movzwl %[where], %k[value]")
TRAPLINE_X86_LOAD(std::uint32_t, "movl %[where], %[value]")
TRAPLINE_X86_LOAD(std::uint64_t, "movq %[where], %[value]")
#undef TRAPLINE_X86_LOAD

// "+m": a store that faults has left the memory as it was.
#define TRAPLINE_X86_STORE(type, instruction)                                          \
  [[gnu::always_inline]] inline std::uintptr_t guarded_store(void* to, type value) {   \
    TRAPLINE_GUARDED_OPERATION(TRAPLINE_X86_ACCESS(instruction, TRAPLINE_GUARD_WRITE), \
                               ([where] "+m"(*static_cast<Anywhere<type>*>(to))),      \
                               ([value] "r"(value)), ());                              \
  }
TRAPLINE_X86_STORE(std::uint8_t, "movb %[value], %[where]")
TRAPLINE_X86_STORE(std::uint16_t, "movw %[value], %[where]")
TRAPLINE_X86_STORE(std::uint32_t, "movl %[value], %[where]")
TRAPLINE_X86_STORE(std::uint64_t, "movq %[value], %[where]")
#undef TRAPLINE_X86_STORE

// old = atomic_exchange(to, value). XCHG with memory is locked by itself: sequentially consistent.
#define TRAPLINE_X86_EXCHANGE(type, instruction)                                                   \
  [[gnu::always_inline]] inline std::uintptr_t guarded_exchange(void* to, type value, type& old) { \
    old = value;                                                                                   \
    TRAPLINE_GUARDED_OPERATION(                                                                    \
        TRAPLINE_X86_ACCESS(instruction, TRAPLINE_GUARD_READ | TRAPLINE_GUARD_WRITE),              \
        ([old] "+r"(old), [where] "+m"(*static_cast<Anywhere<type>*>(to))), (), ("memory"));       \
  }
TRAPLINE_X86_EXCHANGE(std::uint8_t, "xchgb %[old], %[where]")
TRAPLINE_X86_EXCHANGE(std::uint16_t, "xchgw %[old], %[where]")
TRAPLINE_X86_EXCHANGE(std::uint32_t, "xchgl %[old], %[where]")
TRAPLINE_X86_EXCHANGE(std::uint64_t, "xchgq %[old], %[where]")
#undef TRAPLINE_X86_EXCHANGE

// old = *to; if (old == expected) *to = desired; as one atomic step, sequentially consistent.
// Whether it was exchanged is whether old is what was expected.
#define TRAPLINE_X86_COMPARE_EXCHANGE(type, instruction)                                           \
  [[gnu::always_inline]] inline std::uintptr_t guarded_compare_exchange(void* to, type expected,   \
                                                                        type desired, type& old) { \
    old = expected;                                                                                \
    TRAPLINE_GUARDED_OPERATION(                                                                    \
        TRAPLINE_X86_ACCESS("lock " instruction, TRAPLINE_GUARD_READ | TRAPLINE_GUARD_WRITE),      \
        ([old] "+a"(old), [where] "+m"(*static_cast<Anywhere<type>*>(to))),                        \
        ([desired] "r"(desired)), ("cc", "memory"));                                               \
  }
TRAPLINE_X86_COMPARE_EXCHANGE(std::uint8_t, "cmpxchgb %[desired], %[where]")
TRAPLINE_X86_COMPARE_EXCHANGE(std::uint16_t, "cmpxchgw %[desired], %[where]")
TRAPLINE_X86_COMPARE_EXCHANGE(std::uint32_t, "cmpxchgl %[desired], %[where]")
TRAPLINE_X86_COMPARE_EXCHANGE(std::uint64_t, "cmpxchgq %[desired], %[where]")
#undef TRAPLINE_X86_COMPARE_EXCHANGE

}  // namespace trapline::isa
// NOLINTEND(bugprone-macro-parentheses)
TRAPLINE_QUIET_END

#undef TRAPLINE_X86_ACCESS
