// From what was asked to the slots that do it: a plan.
//
// A plan covers every byte of the request and no other byte, with the fewest slots the architecture
// can do that with. It never narrows: what cannot be covered exactly is an error. Pure computation;
// freestanding; any context.
#pragma once

#include <array>
#include <cstddef>
#include <expected>
#include <span>

#include "trapline/base/error.h"
#include "trapline/port/debug_architecture.h"
#include "trapline/watch/request.h"

namespace trapline {

// What one slot is asked to hold.
struct SlotRequest {
  RemoteAddress address;
  ByteCount length;
  Access access = Access::write;

  friend constexpr bool operator==(const SlotRequest&, const SlotRequest&) = default;
};

// More slots than any architecture Trapline knows has (Arm: at most 16 of each kind).
inline constexpr std::size_t kMaxPlanSlots = 16;

class Plan {
 public:
  // The slots in ascending order of address, not overlapping.
  [[nodiscard]] std::span<const SlotRequest> slots() const { return {slots_.data(), count_}; }
  // Bytes covered by all slots together.
  [[nodiscard]] ByteCount length() const;

 private:
  friend std::expected<Plan, Error> make_plan(const Request&, const DebugArchitecture&);
  friend ByteCount longest_plannable(const Request&, const DebugArchitecture&);
  // As much of the request, from its start, as the machine's slots can cover.
  [[nodiscard]] static Plan covering(const Request& request, const DebugArchitecture& machine);

  std::array<SlotRequest, kMaxPlanSlots> slots_{};
  std::size_t count_ = 0;
};

// Errors: empty_range; range_wraps; access_unsupported; range_too_long (see longest_plannable).
[[nodiscard]] std::expected<Plan, Error> make_plan(const Request& request,
                                                   const DebugArchitecture& machine);

// The longest part of the request, from its start, that make_plan would accept: for the message
// after range_too_long. Zero when not even one byte can be watched (no slots, unsupported access).
[[nodiscard]] ByteCount longest_plannable(const Request& request, const DebugArchitecture& machine);

}  // namespace trapline
