// The debug registers of one owner of them (a thread, or a CPU): which are free, which hold what.
//
// All-or-nothing: reserving a plan takes every slot it needs or none. The table knows nothing of
// the hardware; who reserves also writes the registers. A fixed-size value, no allocation; not
// synchronised: the owner serialises. Address zero is an address here: "free" is a bit of its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "trapline/base/error.h"
#include "trapline/base/units.h"
#include "trapline/port/debug_architecture.h"
#include "trapline/watch/plan.h"

namespace trapline {

// The slots one plan got: registers()[i] holds plan.slots()[i]. Give it back with
// SlotTable::release.
class Reservation {
 public:
  [[nodiscard]] std::span<const SlotIndex> registers() const { return {registers_.data(), count_}; }

 private:
  friend class SlotTable;
  std::array<SlotIndex, kMaxPlanSlots> registers_{};
  std::size_t count_ = 0;
};

class SlotTable {
 public:
  explicit SlotTable(const DebugArchitecture& machine);

  // Errors: no_free_slot, and the table is unchanged. A request that is already held is reserved
  // again: two watches of the same bytes are two watches.
  [[nodiscard]] std::expected<Reservation, Error> reserve(const Plan& plan);

  // Errors: not_reserved if any of its registers is free or holds another request, and the table is
  // unchanged.
  [[nodiscard]] std::expected<void, Error> release(const Reservation& reservation,
                                                   const Plan& plan);

  // Marks one register as somebody else's (another debugger's), so that reserve passes over it.
  // Errors: no_free_slot if it is not free; bad_length if there is no such register.
  [[nodiscard]] std::expected<void, Error> exclude(SlotIndex slot, bool code);

  // What a register holds: nullopt when free, excluded or not there. Data and code registers are
  // numbered apart, and `code` chooses the numbering, unless the architecture shares one pool.
  [[nodiscard]] std::optional<SlotRequest> at(SlotIndex slot, bool code) const;

  [[nodiscard]] std::size_t free_slots(bool code) const;

 private:
  enum class State : std::uint8_t { free, held, excluded };
  struct Slot {
    State state = State::free;
    SlotRequest request;
  };

  [[nodiscard]] std::span<Slot> bank(bool code);
  [[nodiscard]] std::span<const Slot> bank(bool code) const;
  void give_back(const Reservation& reservation, const Plan& plan);

  std::uint8_t data_count_;
  std::uint8_t code_count_;
  bool shared_;
  std::array<Slot, kMaxPlanSlots> data_{};
  std::array<Slot, kMaxPlanSlots> code_{};  // unused where one pool is shared
};

}  // namespace trapline
