// Armv7-A: the bulk of a copy that may fault, by words.
#pragma once

#include <cstddef>

extern "C" [[gnu::visibility("hidden")]] std::size_t trapline_guarded_copy(void* to,
                                                                           const void* from,
                                                                           std::size_t count);

namespace trapline::isa {

// Copies from the front, and gives the number of bytes that are surely done: all, or fewer if one
// cannot be loaded or stored. Never writes behind a byte that cannot be copied. Freestanding; the
// ranges may not overlap, nor pass the end of the address space.
[[nodiscard]] inline std::size_t guarded_copy(void* to, const void* from, std::size_t count) {
  return trapline_guarded_copy(to, from, count);
}

}  // namespace trapline::isa
