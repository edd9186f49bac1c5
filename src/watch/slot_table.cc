#include "trapline/watch/slot_table.h"

#include <algorithm>

namespace trapline {

SlotTable::SlotTable(const DebugArchitecture& machine)
    : data_count_(std::min<std::uint8_t>(machine.data_slots, kMaxPlanSlots)),
      code_count_(std::min<std::uint8_t>(machine.code_slots, kMaxPlanSlots)),
      shared_(machine.slots_are_shared) {}

std::span<SlotTable::Slot> SlotTable::bank(bool code) {
  if (code && !shared_) return std::span(code_).first(code_count_);
  return std::span(data_).first(data_count_);
}

std::span<const SlotTable::Slot> SlotTable::bank(bool code) const {
  return const_cast<SlotTable*>(this)->bank(code);
}

std::expected<Reservation, Error> SlotTable::reserve(const Plan& plan) {
  Reservation reservation;
  for (const SlotRequest& request : plan.slots()) {
    const std::span<Slot> slots = bank(request.access == Access::execute);
    const auto free = std::ranges::find(slots, State::free, &Slot::state);
    if (free == slots.end()) {
      give_back(reservation, plan);
      return std::unexpected(Error{ErrorCode::no_free_slot});
    }
    *free = Slot{State::held, request};
    reservation.registers_[reservation.count_++] =
        SlotIndex{static_cast<std::uint8_t>(free - slots.begin())};
  }
  return reservation;
}

std::expected<void, Error> SlotTable::release(const Reservation& reservation, const Plan& plan) {
  if (reservation.registers().size() != plan.slots().size())
    return std::unexpected(Error{ErrorCode::not_reserved});
  for (std::size_t index = 0; index < plan.slots().size(); ++index) {
    const SlotRequest& request = plan.slots()[index];
    if (at(reservation.registers()[index], request.access == Access::execute) != request) {
      return std::unexpected(Error{ErrorCode::not_reserved});
    }
  }
  give_back(reservation, plan);
  return {};
}

void SlotTable::give_back(const Reservation& reservation, const Plan& plan) {
  for (std::size_t index = 0; index < reservation.count_; ++index) {
    const bool code = plan.slots()[index].access == Access::execute;
    bank(code)[reservation.registers_[index].value] = Slot{};
  }
}

std::expected<void, Error> SlotTable::exclude(SlotIndex slot, bool code) {
  const std::span<Slot> slots = bank(code);
  if (slot.value >= slots.size()) return std::unexpected(Error{ErrorCode::bad_length});
  if (slots[slot.value].state != State::free)
    return std::unexpected(Error{ErrorCode::no_free_slot});
  slots[slot.value].state = State::excluded;
  return {};
}

std::optional<SlotRequest> SlotTable::at(SlotIndex slot, bool code) const {
  const std::span<const Slot> slots = bank(code);
  if (slot.value >= slots.size() || slots[slot.value].state != State::held) return std::nullopt;
  return slots[slot.value].request;
}

std::size_t SlotTable::free_slots(bool code) const {
  return static_cast<std::size_t>(std::ranges::count(bank(code), State::free, &Slot::state));
}

}  // namespace trapline
