// Loads that may fault, for handlers of data and prefetch aborts.
//
// Such a handler runs in Abort mode, and a fault of its own is taken to the same mode: it
// overwrites the mode's link register, where the compiler may have anything. Each load says so.
// Elsewhere guarded_load does (guarded_instructions.h). Freestanding.
#pragma once

#include <cstdint>

#include "trapline/fault/exception_entry.h"

#define TRAPLINE_FAULT_REGISTER "r12"

namespace trapline::isa::armv7 {

// false: it faulted, and `value` is as it was. Any alignment.
#define TRAPLINE_HANDLER_LOAD(type, instruction)                               \
  [[nodiscard]] inline bool load_in_handler(std::uint32_t from, type& value) { \
    TRAPLINE_FAULT_WORD(word);                                                 \
    std::uint32_t loaded = value;                                              \
    asm volatile(TRAPLINE_GUARDED(instruction " %[loaded], [%[from]]", 17)     \
                 : [loaded] "+r"(loaded), [word] "+r"(word)                    \
                 : [from] "r"(from)                                            \
                 : "memory", "lr");                                            \
    value = static_cast<type>(loaded);                                         \
    return word == 0;                                                          \
  }                                                                            \
  static_assert(true)

TRAPLINE_HANDLER_LOAD(std::uint8_t, "ldrb");
TRAPLINE_HANDLER_LOAD(std::uint16_t, "ldrh");
TRAPLINE_HANDLER_LOAD(std::uint32_t, "ldr");

#undef TRAPLINE_HANDLER_LOAD

}  // namespace trapline::isa::armv7
