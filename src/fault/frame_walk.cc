#include "trapline/fault/frame_walk.h"

#include <optional>

#include "trapline/fault/guarded_access.h"
#include "trapline/isa/frame_layout.h"

namespace trapline::fault {
namespace {

struct Frame {
  std::uintptr_t caller_frame;
  std::uintptr_t return_address;
};

AccessResult<std::uintptr_t> load(std::uintptr_t frame, std::ptrdiff_t offset) {
  const std::uintptr_t at = frame + static_cast<std::uintptr_t>(offset);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): frames hold numbers.
  return try_load(reinterpret_cast<const std::uintptr_t*>(at));
}

// Whether a frame can be at `frame` if the stack goes on at `below`.
bool is_plausible(std::uintptr_t frame, std::uintptr_t below) {
  return frame >= below && frame - below <= kLargestFrame && frame % sizeof frame == 0;
}

// 0 is how the outermost frame says that there is none.
bool is_caller_of(std::uintptr_t caller, std::uintptr_t frame) {
  return caller == 0 || is_plausible(caller, frame + sizeof frame);
}

// Whether the frame at `frame`, which saved `caller`, has this layout. With a single one it has,
// even if its own caller cannot be found from it. Where there are several, in all but one of them
// there is something else: a later one has to name a caller, which zeros do not.
bool has_layout(const isa::FrameLayout& layout, std::uintptr_t frame, std::uintptr_t caller) {
  if (isa::kFrameLayouts.size() == 1) return true;
  const bool is_first = &layout == &isa::kFrameLayouts.front();
  return is_caller_of(caller, frame) && (is_first || caller != 0);
}

std::optional<Frame> read_frame(std::uintptr_t frame) {
  for (const isa::FrameLayout& layout : isa::kFrameLayouts) {
    const auto caller = load(frame, layout.saved_frame);
    if (!caller || !has_layout(layout, frame, *caller)) continue;
    const auto return_address = load(frame, layout.return_address);
    if (!return_address || *return_address == 0) return std::nullopt;
    return Frame{*caller, *return_address};
  }
  return std::nullopt;
}

}  // namespace

std::size_t walk_frames(const StackPosition& from, std::span<std::uintptr_t> callers) {
  std::uintptr_t frame = from.frame_pointer;
  std::uintptr_t below = from.stack_pointer;
  std::size_t count = 0;
  while (count < callers.size() && is_plausible(frame, below)) {
    const auto found = read_frame(frame);
    if (!found) break;
    callers[count++] = found->return_address;
    below = frame + sizeof frame;
    frame = found->caller_frame;
  }
  return count;
}

}  // namespace trapline::fault
