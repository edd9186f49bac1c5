#include "trapline/hotplug/state_table.h"

namespace trapline::hotplug {
namespace {

constexpr StateNumber at_index(StateNumber first, unsigned index) {
  return StateNumber{static_cast<std::uint16_t>(first.value + index)};
}

}  // namespace

void InstanceList::append(Instance& instance) {
  instance.previous_ = last_;
  instance.next_ = nullptr;
  instance.is_added_ = true;
  (last_ != nullptr ? last_->next_ : first_) = &instance;
  last_ = &instance;
}

void InstanceList::remove(Instance& instance) {
  (instance.previous_ != nullptr ? instance.previous_->next_ : first_) = instance.next_;
  (instance.next_ != nullptr ? instance.next_->previous_ : last_) = instance.previous_;
  instance.next_ = nullptr;
  instance.previous_ = nullptr;
  instance.is_added_ = false;
}

bool InstanceList::contains(const Instance& instance) const {
  for (const Instance* member = first_; member != nullptr; member = next(*member)) {
    if (member == &instance) return true;
  }
  return false;
}

std::expected<StateNumber, ErrorCode> StateTable::choose(const Placement& placement) const {
  const StateNumber first = layout_.first_of(placement.section);
  const std::uint16_t fixed = layout_.fixed_in(placement.section);
  const std::uint16_t dynamic = layout_.dynamic_in(placement.section);
  if (placement.index) {
    if (*placement.index >= fixed) return std::unexpected(ErrorCode::bad_number);
    const StateNumber number = at_index(first, *placement.index);
    if (at(number).in_use) return std::unexpected(ErrorCode::number_taken);
    return number;
  }
  if (dynamic == 0) return std::unexpected(ErrorCode::bad_number);
  for (unsigned index = 0; index < dynamic; ++index) {
    const StateNumber number = at_index(first, fixed + index);
    if (!at(number).in_use) return number;
  }
  return std::unexpected(ErrorCode::range_full);
}

std::expected<StateNumber, Error> StateTable::reserve(const StateDefinition& definition,
                                                      bool is_multi) {
  if (definition.name.empty()) return std::unexpected(Error{ErrorCode::bad_number});
  const auto chosen = choose(definition.placement);
  if (!chosen) return std::unexpected(Error{chosen.error()});
  const StateNumber number = *chosen;
  StateRecord& record = at(number);
  record.in_use = true;
  record.is_multi = is_multi;
  ++record.generation;
  record.definition = definition;
  return number;
}

void StateTable::release(StateNumber number) {
  StateRecord& record = at(number);
  record.in_use = false;
  record.is_multi = false;
  record.definition = {};
}

std::string_view StateTable::name(StateNumber number) const {
  using namespace std::string_view_literals;
  if (number == StateLayout::offline()) return "offline"sv;
  if (number == layout_.bringup()) return "cpu:bringup"sv;
  if (number == layout_.running()) return "cpu:running"sv;
  if (number == layout_.online()) return "online"sv;
  return at(number).definition.name;
}

}  // namespace trapline::hotplug
