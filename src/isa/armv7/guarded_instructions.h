// Armv7-A: loads, stores and atomic exchanges that may fault. For ARM and Thumb.
//
// Each returns the fault word, 0 if the access was done; U is an unsigned integer of 1, 2, 4 or 8
// bytes. The named instructions are the only ones that touch the memory. An 8-byte access needs an
// address that is a multiple of 4 (LDRD, STRD), an atomic one of its size, or it is a fault of
// kind misaligned. Freestanding; any context in which the fault's handler may run, but for Abort
// mode, whose link register the fault overwrites (handler_load.h).
#pragma once

#include <cstdint>

#define TRAPLINE_FAULT_REGISTER "r12"

#ifdef __clang__
// clang 19 for Arm does not come to an end with several asm gotos that have outputs in one
// function.
#define TRAPLINE_ASM_GOTO_OUTPUTS 0
#endif
#include "trapline/fault/detail/guarded_operation.h"

#define TRAPLINE_ARMV7_ACCESS(instruction, guard) \
  "661: " instruction "\n" TRAPLINE_EXCEPTION_ENTRY("661b", TRAPLINE_FIXUP, (guard) | 16)

TRAPLINE_QUIET_BEGIN
// NOLINTBEGIN(bugprone-macro-parentheses): the arguments are types
namespace trapline::isa {

#define TRAPLINE_ARMV7_LOAD(type, instruction)                                                \
  [[gnu::always_inline]] inline std::uintptr_t guarded_load(const void* from, type& value) {  \
    TRAPLINE_GUARDED_OPERATION(TRAPLINE_ARMV7_ACCESS(instruction, TRAPLINE_GUARD_READ),       \
                               ([value] "=r"(value)),                                         \
                               ([where] "Q"(*static_cast<const Anywhere<type>*>(from))), ()); \
  }
TRAPLINE_ARMV7_LOAD(std::uint8_t, "ldrb %[value], %[where]")
TRAPLINE_ARMV7_LOAD(std::uint16_t, "ldrh %[value], %[where]")
TRAPLINE_ARMV7_LOAD(std::uint32_t, "ldr %[value], %[where]")
TRAPLINE_ARMV7_LOAD(std::uint64_t, "ldrd %[value], %H[value], %[where]")
#undef TRAPLINE_ARMV7_LOAD

// "+Q": a store that faults has left the memory as it was.
#define TRAPLINE_ARMV7_STORE(type, instruction)                                          \
  [[gnu::always_inline]] inline std::uintptr_t guarded_store(void* to, type value) {     \
    TRAPLINE_GUARDED_OPERATION(TRAPLINE_ARMV7_ACCESS(instruction, TRAPLINE_GUARD_WRITE), \
                               ([where] "+Q"(*static_cast<Anywhere<type>*>(to))),        \
                               ([value] "r"(value)), ());                                \
  }
TRAPLINE_ARMV7_STORE(std::uint8_t, "strb %[value], %[where]")
TRAPLINE_ARMV7_STORE(std::uint16_t, "strh %[value], %[where]")
TRAPLINE_ARMV7_STORE(std::uint32_t, "str %[value], %[where]")
TRAPLINE_ARMV7_STORE(std::uint64_t, "strd %[value], %H[value], %[where]")
#undef TRAPLINE_ARMV7_STORE

// do { old = *to; } while (!store_exclusive(to, value)); sequentially consistent.
#define TRAPLINE_ARMV7_EXCHANGE(type, load, store)                                                 \
  [[gnu::always_inline]] inline std::uintptr_t guarded_exchange(void* to, type value, type& old) { \
    std::uint32_t refused;                                                                         \
    TRAPLINE_GUARDED_OPERATION(                                                                    \
        "dmb ish\n"                                                                                \
        "661: " load                                                                               \
        "\n"                                                                                       \
        "662: " store                                                                              \
        "\n"                                                                                       \
        "cmp %[refused], #0\n"                                                                     \
        "bne 661b\n"                                                                               \
        "dmb ish\n" TRAPLINE_EXCEPTION_ENTRY("661b", TRAPLINE_FIXUP, 1 | 16)                       \
            TRAPLINE_EXCEPTION_ENTRY("662b", TRAPLINE_FIXUP, 2 | 16),                              \
        ([old] "=&r"(old), [refused] "=&r"(refused),                                               \
         [where] "+Q"(*static_cast<Anywhere<type>*>(to))),                                         \
        ([value] "r"(value)), ("cc", "memory"));                                                   \
  }
TRAPLINE_ARMV7_EXCHANGE(std::uint8_t, "ldrexb %[old], %[where]",
                        "strexb %[refused], %[value], %[where]")
TRAPLINE_ARMV7_EXCHANGE(std::uint16_t, "ldrexh %[old], %[where]",
                        "strexh %[refused], %[value], %[where]")
TRAPLINE_ARMV7_EXCHANGE(std::uint32_t, "ldrex %[old], %[where]",
                        "strex %[refused], %[value], %[where]")
TRAPLINE_ARMV7_EXCHANGE(std::uint64_t, "ldrexd %[old], %H[old], %[where]",
                        "strexd %[refused], %[value], %H[value], %[where]")
#undef TRAPLINE_ARMV7_EXCHANGE

// do { old = *to; if (old != expected) return; } while (!store_exclusive(to, desired)). Whether it
// was exchanged is whether old is what was expected. `differs` sets the flags, and may use
// `refused`.
#define TRAPLINE_ARMV7_COMPARE_EXCHANGE(type, load, differs, store)                                \
  [[gnu::always_inline]] inline std::uintptr_t guarded_compare_exchange(void* to, type expected,   \
                                                                        type desired, type& old) { \
    std::uint32_t refused;                                                                         \
    std::uint32_t scratch;                                                                         \
    TRAPLINE_GUARDED_OPERATION(                                                                    \
        "dmb ish\n"                                                                                \
        "661: " load "\n" differs                                                                  \
        "\n"                                                                                       \
        "bne 663f\n"                                                                               \
        "662: " store                                                                              \
        "\n"                                                                                       \
        "cmp %[refused], #0\n"                                                                     \
        "bne 661b\n"                                                                               \
        "663: dmb ish\n" TRAPLINE_EXCEPTION_ENTRY("661b", TRAPLINE_FIXUP, 1 | 16)                  \
            TRAPLINE_EXCEPTION_ENTRY("662b", TRAPLINE_FIXUP, 2 | 16),                              \
        ([old] "=&r"(old), [refused] "=&r"(refused), [scratch] "=&r"(scratch),                     \
         [where] "+Q"(*static_cast<Anywhere<type>*>(to))),                                         \
        ([expected] "r"(expected), [desired] "r"(desired)), ("cc", "memory"));                     \
  }
TRAPLINE_ARMV7_COMPARE_EXCHANGE(std::uint8_t, "ldrexb %[old], %[where]",
                                "uxtb %[scratch], %[expected]\ncmp %[old], %[scratch]",
                                "strexb %[refused], %[desired], %[where]")
TRAPLINE_ARMV7_COMPARE_EXCHANGE(std::uint16_t, "ldrexh %[old], %[where]",
                                "uxth %[scratch], %[expected]\ncmp %[old], %[scratch]",
                                "strexh %[refused], %[desired], %[where]")
TRAPLINE_ARMV7_COMPARE_EXCHANGE(std::uint32_t, "ldrex %[old], %[where]", "cmp %[old], %[expected]",
                                "strex %[refused], %[desired], %[where]")
TRAPLINE_ARMV7_COMPARE_EXCHANGE(std::uint64_t, "ldrexd %[old], %H[old], %[where]",
                                "eor %[refused], %[old], %[expected]\n"
                                "eor %[scratch], %H[old], %H[expected]\n"
                                "orrs %[refused], %[refused], %[scratch]",
                                "strexd %[refused], %[desired], %H[desired], %[where]")
#undef TRAPLINE_ARMV7_COMPARE_EXCHANGE

}  // namespace trapline::isa
// NOLINTEND(bugprone-macro-parentheses)
TRAPLINE_QUIET_END

#undef TRAPLINE_ARMV7_ACCESS
