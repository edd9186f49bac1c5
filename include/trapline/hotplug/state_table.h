// Which hotplug states exist: numbers, callbacks, instances. No CPU and no callback runs here.
//
// Storage is the owner's, one record per number of the layout. Not synchronised: the state
// machine's state mutex guards it for setup and removal, and its write lock keeps it still during a
// walk. Freestanding.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "trapline/base/error.h"
#include "trapline/hotplug/state.h"

namespace trapline::hotplug {

// The instances of one state, in the order they were added.
class InstanceList {
 public:
  void append(Instance& instance);
  void remove(Instance& instance);
  [[nodiscard]] bool contains(const Instance& instance) const;
  [[nodiscard]] bool empty() const { return first_ == nullptr; }

  // nullptr: there is none. For both: the neighbour of a member.
  [[nodiscard]] Instance* first() const { return first_; }
  [[nodiscard]] Instance* last() const { return last_; }
  [[nodiscard]] static Instance* next(const Instance& instance) { return instance.next_; }
  [[nodiscard]] static Instance* previous(const Instance& instance) { return instance.previous_; }

 private:
  Instance* first_ = nullptr;
  Instance* last_ = nullptr;
};

struct StateRecord {
  bool in_use = false;
  bool is_multi = false;
  // Counts how often the number was given out: tells a handle of a state from that of an earlier
  // one.
  std::uint32_t generation = 0;
  StateDefinition definition;
  InstanceList instances;

  [[nodiscard]] Callback callback(Direction direction) const {
    return direction == Direction::startup ? definition.startup : definition.teardown;
  }
};

class StateTable {
 public:
  // `records` has layout.count() elements at least.
  StateTable(const StateLayout& layout, std::span<StateRecord> records)
      : layout_(layout), records_(records) {}

  [[nodiscard]] const StateLayout& layout() const { return layout_; }

  // Errors: bad_number (no such fixed state, dynamic where the section has none, empty name),
  // number_taken, range_full; the table is unchanged.
  [[nodiscard]] std::expected<StateNumber, Error> reserve(const StateDefinition& definition,
                                                          bool is_multi);
  void release(StateNumber number);

  [[nodiscard]] StateRecord& at(StateNumber number) { return records_[number.value]; }
  [[nodiscard]] const StateRecord& at(StateNumber number) const { return records_[number.value]; }
  // The state's own name, or that of a built-in step ("offline", "cpu:bringup", "cpu:running",
  // "online"); "" if the number is free.
  [[nodiscard]] std::string_view name(StateNumber number) const;

 private:
  [[nodiscard]] std::expected<StateNumber, ErrorCode> choose(const Placement& placement) const;

  StateLayout layout_;
  std::span<StateRecord> records_;
};

}  // namespace trapline::hotplug
