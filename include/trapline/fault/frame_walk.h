// The callers of a function, by frame pointers, read with guarded loads: a chain that is corrupt,
// or was never one, ends the walk. It cannot end the program, and it always ends itself.
//
// Finds what was compiled with frame pointers (-fno-omit-frame-pointer). The caller of a function
// that has not set up its frame yet, or has given it up, is left out: the chain starts with its
// caller's caller. Two loads a frame; no allocation, no lock.
//
// Freestanding. Any context in which guarded access works (guarded_access.h), signal handlers
// included.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace trapline::fault {

// Two registers, as they are or were in the function that the walk starts from.
struct StackPosition {
  std::uintptr_t stack_pointer;
  std::uintptr_t frame_pointer;
};

// Bytes from the stack pointer to the first frame, or from one to the next: whatever is further
// away is taken for no frame. The usual size of a whole stack.
inline constexpr std::uintptr_t kLargestFrame = std::uintptr_t{8} << 20;

// Fills `callers` with return addresses, innermost first; how many there are. Frames lie above the
// stack pointer, each above the one before, aligned, at most kLargestFrame away. The first that
// does not ends the walk, and so does one that cannot be read, or returns to 0.
[[nodiscard]] std::size_t walk_frames(const StackPosition& from, std::span<std::uintptr_t> callers);

}  // namespace trapline::fault
