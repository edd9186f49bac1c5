// arm64: loads, stores and atomic exchanges that may fault.
//
// Each returns the fault word, 0 if the access was done; U is an unsigned integer of 1, 2, 4 or 8
// bytes. The named instructions are the only ones that touch the memory. An atomic access needs an
// address that is a multiple of its size, or it is a fault of kind misaligned. Armv8.0, so
// exclusives and not LSE. Freestanding; any context in which the fault's handler may run.
#pragma once

#include <cstdint>

#define TRAPLINE_FAULT_REGISTER "x16"

#include "trapline/fault/detail/guarded_operation.h"

#define TRAPLINE_ARM64_ACCESS(instruction, guard) \
  "661: " instruction "\n" TRAPLINE_EXCEPTION_ENTRY("661b", TRAPLINE_FIXUP, (guard) | 16)

TRAPLINE_QUIET_BEGIN
// NOLINTBEGIN(bugprone-macro-parentheses): the arguments are types
namespace trapline::isa {

#define TRAPLINE_ARM64_LOAD(type, instruction)                                                \
  [[gnu::always_inline]] inline std::uintptr_t guarded_load(const void* from, type& value) {  \
    TRAPLINE_GUARDED_OPERATION(TRAPLINE_ARM64_ACCESS(instruction, TRAPLINE_GUARD_READ),       \
                               ([value] "=r"(value)),                                         \
                               ([where] "Q"(*static_cast<const Anywhere<type>*>(from))), ()); \
  }
TRAPLINE_ARM64_LOAD(std::uint8_t, "ldrb %w[value], %[where]")
TRAPLINE_ARM64_LOAD(std::uint16_t, "ldrh %w[value], %[where]")
TRAPLINE_ARM64_LOAD(std::uint32_t, "ldr %w[value], %[where]")
TRAPLINE_ARM64_LOAD(std::uint64_t, "ldr %x[value], %[where]")
#undef TRAPLINE_ARM64_LOAD

// "+Q": a store that faults has left the memory as it was.
#define TRAPLINE_ARM64_STORE(type, instruction)                                          \
  [[gnu::always_inline]] inline std::uintptr_t guarded_store(void* to, type value) {     \
    TRAPLINE_GUARDED_OPERATION(TRAPLINE_ARM64_ACCESS(instruction, TRAPLINE_GUARD_WRITE), \
                               ([where] "+Q"(*static_cast<Anywhere<type>*>(to))),        \
                               ([value] "r"(value)), ());                                \
  }
TRAPLINE_ARM64_STORE(std::uint8_t, "strb %w[value], %[where]")
TRAPLINE_ARM64_STORE(std::uint16_t, "strh %w[value], %[where]")
TRAPLINE_ARM64_STORE(std::uint32_t, "str %w[value], %[where]")
TRAPLINE_ARM64_STORE(std::uint64_t, "str %x[value], %[where]")
#undef TRAPLINE_ARM64_STORE

// do { old = *to; } while (!store_exclusive(to, value)); sequentially consistent.
#define TRAPLINE_ARM64_EXCHANGE(type, load, store)                                                 \
  [[gnu::always_inline]] inline std::uintptr_t guarded_exchange(void* to, type value, type& old) { \
    std::uint32_t refused;                                                                         \
    TRAPLINE_GUARDED_OPERATION(                                                                    \
        "661: " load                                                                               \
        "\n"                                                                                       \
        "662: " store                                                                              \
        "\n"                                                                                       \
        "cbnz %w[refused], 661b\n" TRAPLINE_EXCEPTION_ENTRY("661b", TRAPLINE_FIXUP, 1 | 16)        \
            TRAPLINE_EXCEPTION_ENTRY("662b", TRAPLINE_FIXUP, 2 | 16),                              \
        ([old] "=&r"(old), [refused] "=&r"(refused),                                               \
         [where] "+Q"(*static_cast<Anywhere<type>*>(to))),                                         \
        ([value] "r"(value)), ("memory"));                                                         \
  }
TRAPLINE_ARM64_EXCHANGE(std::uint8_t, "ldaxrb %w[old], %[where]",
                        "stlxrb %w[refused], %w[value], %[where]")
TRAPLINE_ARM64_EXCHANGE(std::uint16_t, "ldaxrh %w[old], %[where]",
                        "stlxrh %w[refused], %w[value], %[where]")
TRAPLINE_ARM64_EXCHANGE(std::uint32_t, "ldaxr %w[old], %[where]",
                        "stlxr %w[refused], %w[value], %[where]")
TRAPLINE_ARM64_EXCHANGE(std::uint64_t, "ldaxr %x[old], %[where]",
                        "stlxr %w[refused], %x[value], %[where]")
#undef TRAPLINE_ARM64_EXCHANGE

// do { old = *to; if (old != expected) return; } while (!store_exclusive(to, desired)). Whether it
// was exchanged is whether old is what was expected. A short value is in the lower part of its
// register, and nobody knows what is above it: hence uxtb and uxth.
#define TRAPLINE_ARM64_COMPARE_EXCHANGE(type, load, compare, store)                                \
  [[gnu::always_inline]] inline std::uintptr_t guarded_compare_exchange(void* to, type expected,   \
                                                                        type desired, type& old) { \
    std::uint32_t refused;                                                                         \
    TRAPLINE_GUARDED_OPERATION("661: " load "\n" compare                                           \
                               "\n"                                                                \
                               "b.ne 663f\n"                                                       \
                               "662: " store                                                       \
                               "\n"                                                                \
                               "cbnz %w[refused], 661b\n"                                          \
                               "663:\n" TRAPLINE_EXCEPTION_ENTRY("661b", TRAPLINE_FIXUP, 1 | 16)   \
                                   TRAPLINE_EXCEPTION_ENTRY("662b", TRAPLINE_FIXUP, 2 | 16),       \
                               ([old] "=&r"(old), [refused] "=&r"(refused),                        \
                                [where] "+Q"(*static_cast<Anywhere<type>*>(to))),                  \
                               ([expected] "r"(expected), [desired] "r"(desired)),                 \
                               ("cc", "memory"));                                                  \
  }
TRAPLINE_ARM64_COMPARE_EXCHANGE(std::uint8_t, "ldaxrb %w[old], %[where]",
                                "cmp %w[old], %w[expected], uxtb",
                                "stlxrb %w[refused], %w[desired], %[where]")
TRAPLINE_ARM64_COMPARE_EXCHANGE(std::uint16_t, "ldaxrh %w[old], %[where]",
                                "cmp %w[old], %w[expected], uxth",
                                "stlxrh %w[refused], %w[desired], %[where]")
TRAPLINE_ARM64_COMPARE_EXCHANGE(std::uint32_t, "ldaxr %w[old], %[where]",
                                "cmp %w[old], %w[expected]",
                                "stlxr %w[refused], %w[desired], %[where]")
TRAPLINE_ARM64_COMPARE_EXCHANGE(std::uint64_t, "ldaxr %x[old], %[where]",
                                "cmp %x[old], %x[expected]",
                                "stlxr %w[refused], %x[desired], %[where]")
#undef TRAPLINE_ARM64_COMPARE_EXCHANGE

}  // namespace trapline::isa
// NOLINTEND(bugprone-macro-parentheses)
TRAPLINE_QUIET_END

#undef TRAPLINE_ARM64_ACCESS
