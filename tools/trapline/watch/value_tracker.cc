#include "tools/trapline/watch/value_tracker.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "base/value_bytes.h"

namespace trapline::command {
namespace {

// A watch has few slots; only forking targets multiply them.
constexpr std::size_t kMaxShadows = 4096;
// No process has it.
constexpr std::int32_t kAllProcesses = 0;

std::uint64_t little_endian(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (std::size_t index = bytes.size(); index-- > 0;) {
    value = value << 8 | std::to_integer<std::uint64_t>(bytes[index]);
  }
  return value;
}

}  // namespace

ValueTracker::ValueTracker(std::optional<ProcessId> pid, MemoryReader& memory,
                           const decode::CulpritFinder* finder)
    : pid_(pid), memory_(memory), finder_(finder) {}

std::optional<std::int32_t> ValueTracker::owner_of(const Hit& hit) const {
  if (!pid_) return kAllProcesses;
  if (hit.pid.value <= 0) return std::nullopt;
  return hit.pid.value;
}

ValueTracker::Range ValueTracker::value_range(const Hit& hit, RemoteAddress start) const {
  if (watch_.length.value <= kWordBytes) return {start, watch_.length};
  return {hit.address, hit.length};
}

MemoryValue ValueTracker::read_now(const Range& range, Certainty certainty) {
  std::array<std::byte, kWordBytes> bytes{};
  const auto wanted = std::span(bytes).first(size_of_own(range.length));
  if (memory_.read(range.address, wanted) != wanted.size()) return {};
  return {little_endian(wanted), certainty};
}

void ValueTracker::read_initial(const Request& watch, std::span<const SlotRequest> slots,
                                bool target_is_stopped) {
  set_watch(watch);
  const Certainty certainty = target_is_stopped ? Certainty::exact : Certainty::approximate;
  for (const SlotRequest& slot : slots) {
    Hit hit;
    hit.address = slot.address;
    hit.length = slot.length;
    const Range range = value_range(hit, watch.address);
    shadow_[{pid_ ? pid_->value : kAllProcesses, range.address.value()}] =
        read_now(range, certainty);
  }
}

MemoryValue ValueTracker::value_before(const Hit& hit, const Range& range) const {
  const auto owner = owner_of(hit);
  if (!owner) return {};
  const auto shadow = shadow_.find({*owner, range.address.value()});
  if (shadow == shadow_.end()) return {};
  return as_certain_as_hits(shadow->second);
}

MemoryValue ValueTracker::as_certain_as_hits(MemoryValue before) const {
  if (!sees_all_writers_) before.certainty = std::min(before.certainty, Certainty::approximate);
  return before;
}

MemoryValue ValueTracker::value_after(const Hit& hit, const Range& range, MemoryValue& before,
                                      const decode::Culprit* culprit,
                                      const UserRegisters& registers, bool newest) {
  std::optional<decode::StoredValue> result;
  if (culprit != nullptr && finder_ != nullptr) {
    const auto known =
        before.certainty == Certainty::unknown ? std::nullopt : std::optional(before.bits);
    result = finder_->stored_value(registers, range.address, range.length, known);
  }
  if (hit.new_value.certainty == Certainty::exact) {
    if (!result || result->bits == hit.new_value.bits) return hit.new_value;
    // Another thread has written since: its own hit tells of that.
    if (!result->depends_on_old) return {result->bits, Certainty::exact};
    before = {};
    return hit.new_value;
  }
  if (result) return {result->bits, result->depends_on_old ? before.certainty : Certainty::exact};
  if (hit.new_value.certainty != Certainty::unknown) return hit.new_value;
  if (newest && is_of_memory_read(hit)) return read_now(range, Certainty::approximate);
  return {};
}

void ValueTracker::forget_before(const Hit& hit, RemoteAddress start) {
  if (const auto owner = owner_of(hit))
    shadow_.erase({*owner, value_range(hit, start).address.value()});
}

void ValueTracker::update(Hit& hit, const decode::Culprit* culprit, const UserRegisters& registers,
                          bool newest) {
  update_at(watch_.address, MemoryValue{}, hit, culprit, registers, newest);
}

void ValueTracker::update_at(RemoteAddress start, MemoryValue initial, Hit& hit,
                             const decode::Culprit* culprit, const UserRegisters& registers,
                             bool newest) {
  const Range range = value_range(hit, start);
  MemoryValue before = value_before(hit, range);
  // What the collector saw at the trap needs no hit before it.
  if (hit.old_value.certainty == Certainty::exact) before = as_certain_as_hits(hit.old_value);
  if (before.certainty == Certainty::unknown) before = initial;
  const MemoryValue after = value_after(hit, range, before, culprit, registers, newest);
  if (shadow_.size() >= kMaxShadows) shadow_.clear();
  if (const auto owner = owner_of(hit)) shadow_[{*owner, range.address.value()}] = after;
  hit.old_value = before;
  hit.new_value = after;
}

}  // namespace trapline::command
