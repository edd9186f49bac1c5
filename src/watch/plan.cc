#include "trapline/watch/plan.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace trapline {
namespace {

constexpr std::uint64_t kTopAddress = std::numeric_limits<std::uint64_t>::max();

// How many bytes one slot can cover from `address` on, at most `wanted` (> 0). Taking the most each
// time gives the fewest slots: a power-of-two piece that is shorter than alignment allows never
// lets a later piece grow beyond it.
std::uint64_t slot_reach(std::uint64_t address, std::uint64_t wanted,
                         const DebugArchitecture& machine) {
  const std::uint64_t window = machine.max_data_length.value;
  const std::uint64_t to_window_end = window - address % window;
  if (machine.addressing == DataAddressing::byte_select) return std::min(to_window_end, wanted);
  std::uint64_t length = window;
  while (length > wanted || address % length != 0) length /= 2;
  return length;
}

// An instruction is one address, whatever length was given with it.
ByteCount request_length(const Request& request, const DebugArchitecture& machine) {
  return request.access == Access::execute ? machine.code_length : request.length;
}

std::optional<ErrorCode> find_fault(const Request& request, const DebugArchitecture& machine) {
  if (!machine.accesses.contains(request.access)) return ErrorCode::access_unsupported;
  if (request.access == Access::execute) return std::nullopt;
  if (request.length.value == 0) return ErrorCode::empty_range;
  if (request.length.value - 1 > kTopAddress - request.address.value())
    return ErrorCode::range_wraps;
  return std::nullopt;
}

}  // namespace

std::expected<Plan, Error> make_plan(const Request& request, const DebugArchitecture& machine) {
  if (const auto fault = find_fault(request, machine)) return std::unexpected(Error{*fault});
  Plan plan = Plan::covering(request, machine);
  if (plan.length() < request_length(request, machine))
    return std::unexpected(Error{ErrorCode::range_too_long});
  return plan;
}

ByteCount longest_plannable(const Request& request, const DebugArchitecture& machine) {
  if (find_fault(request, machine)) return ByteCount{0};
  return Plan::covering(request, machine).length();
}

ByteCount Plan::length() const {
  ByteCount total{0};
  for (const SlotRequest& slot : slots()) total.value += slot.length.value;
  return total;
}

Plan Plan::covering(const Request& request, const DebugArchitecture& machine) {
  Plan plan;
  if (request.access == Access::execute) {
    if (machine.code_slots > 0)
      plan.slots_[plan.count_++] = {request.address, machine.code_length, Access::execute};
    return plan;
  }
  const std::size_t available = std::min<std::size_t>(machine.data_slots, kMaxPlanSlots);
  RemoteAddress address = request.address;
  std::uint64_t left = request.length.value;
  while (left > 0 && plan.count_ < available) {
    const ByteCount piece{slot_reach(address.value(), left, machine)};
    plan.slots_[plan.count_++] = {address, piece, request.access};
    address = address + piece;
    left -= piece.value;
  }
  return plan;
}

}  // namespace trapline
