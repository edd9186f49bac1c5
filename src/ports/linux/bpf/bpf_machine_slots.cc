#include "ports/linux/bpf/bpf_machine_slots.h"

#include <algorithm>
#include <vector>

#include "ports/linux/bpf/bpf_config.h"

namespace trapline::linux_port {
namespace {

bool is_in_use(const trapline_slot& entry) {
  return entry.value_length != 0;
}

}  // namespace

bool BpfMachineSlots::add(const Plan& plan) {
  const std::vector<trapline_slot> slots = bpf_slots_for(plan);
  std::vector<std::uint32_t> places;
  for (std::uint32_t place = 0; place < entries_.size() && places.size() < slots.size(); ++place) {
    if (!is_in_use(entries_[place])) places.push_back(place);
  }
  if (places.size() < slots.size()) return false;
  for (std::size_t index = 0; index < slots.size(); ++index) {
    trapline_slot& entry = entries_[places[index]];
    entry = slots[index];
    entry.shadow = places[slots[index].shadow];
    entry.epoch = next_epoch();
  }
  // Slots that share a shadow are of one epoch.
  for (const std::uint32_t place : places)
    entries_[place].epoch = entries_[entries_[place].shadow].epoch;
  return true;
}

void BpfMachineSlots::remove(const Plan& plan) {
  for (const trapline_slot& slot : bpf_slots_for(plan)) {
    for (trapline_slot& entry : entries_) {
      if (is_in_use(entry) && entry.address == slot.address) entry = {};
    }
  }
}

void BpfMachineSlots::forget_values(bool all_are_watched) {
  all_are_watched_ = all_are_watched;
  const std::uint32_t epoch = next_epoch();
  for (trapline_slot& entry : entries_) {
    if (is_in_use(entry)) entry.epoch = epoch;
  }
}

std::uint32_t BpfMachineSlots::next_epoch() {
  if (!all_are_watched_) return 0;
  if (++last_epoch_ == 0) ++last_epoch_;
  return last_epoch_;
}

}  // namespace trapline::linux_port
