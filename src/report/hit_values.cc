#include "report/hit_values.h"

#include <algorithm>

#include "base/value_bytes.h"
#include "report/value_text.h"

namespace trapline::report {
namespace {

// Far more than the parts of what debug registers can cover.
constexpr std::size_t kMaxPlaces = 4096;

bool contains(const KnownRange& outer, ByteCount offset, ByteCount length) {
  return offset >= outer.offset &&
         offset.value + length.value <= outer.offset.value + outer.length.value;
}

// Which of `bytes` the instruction accessed, or, if that is not known, the slot covers.
KnownRange accessed_bytes(const HitView& view, RemoteAddress object, const KnownRange& bytes) {
  const AccessedBytes accessed =
      view.accessed.value_or(AccessedBytes{view.hit.address, view.hit.length});
  // An access may begin before the object.
  const auto begin = static_cast<std::int64_t>((accessed.address - object).value);
  const auto end = begin + static_cast<std::int64_t>(accessed.length.value);
  const auto first = static_cast<std::int64_t>(bytes.offset.value);
  const std::int64_t from = std::max(begin, first);
  const std::int64_t to = std::min(end, first + static_cast<std::int64_t>(bytes.length.value));
  if (from >= to) return bytes;
  return {ByteCount{static_cast<std::uint64_t>(from)},
          ByteCount{static_cast<std::uint64_t>(to - from)}};
}

// Whether the values differ in bytes outside of a part of them.
bool differs_outside(const Hit& hit, const KnownRange& known, const ObjectPart& part) {
  if (hit.old_value.certainty == Certainty::unknown ||
      hit.new_value.certainty == Certainty::unknown || part.type->length.value >= kWordBytes)
    return false;
  const std::uint64_t mask = (std::uint64_t{1} << (part.type->length.value * kBitsPerByte)) - 1;
  const std::uint64_t shift = (part.offset.value - known.offset.value) * kBitsPerByte;
  const std::uint64_t changed = hit.old_value.bits ^ hit.new_value.bits;
  return (low_bytes({changed, Certainty::exact}, known.length) & ~(mask << shift)) != 0;
}

}  // namespace

void HitValues::describe(const WatchStart& start) {
  watch_ = start.request;
  type_ = start.type;
  if (type_.length.value == 0) type_.length = watch_.length;
  expression_ = start.expression;
  places_.clear();
}

RemoteAddress HitValues::start_in(const HitView& view) const {
  return view.object_start.value_or(watch_.address);
}

KnownRange HitValues::known_bytes(const HitView& view) const {
  if (watch_.length.value <= kWordBytes) return {ByteCount{}, watch_.length};
  return {view.hit.address - start_in(view), view.hit.length};
}

const HitValues::Place& HitValues::place_of(const KnownRange& bytes) {
  constexpr unsigned kLengthBits = 8;
  const std::uint64_t key = bytes.offset.value << kLengthBits | bytes.length.value;
  if (const auto known = places_.find(key); known != places_.end()) return known->second;
  Place place{{}, find_part(type_, bytes.offset, bytes.length)};
  const bool is_whole = bytes.offset.value == 0 && bytes.length == watch_.length;
  if (!is_whole) place.member = name_part(expression_, place.part.path);
  return places_.emplace(key, std::move(place)).first->second;
}

HitValues::Subject HitValues::subject_of(const HitView& view) {
  Subject subject{{}, &type_, {}, known_bytes(view), false};
  const bool is_short = watch_.length.value <= kWordBytes;
  // Nearly always.
  if (type_.parts.empty()) {
    if (!is_short || type_.length != watch_.length) subject.type = nullptr;
    return subject;
  }
  if (!contains({ByteCount{}, watch_.length}, subject.known.offset, subject.known.length)) {
    subject.type = nullptr;
    return subject;
  }
  if (places_.size() >= kMaxPlaces) places_.clear();
  const Place& accessed = place_of(accessed_bytes(view, start_in(view), subject.known));
  subject.member = accessed.member;
  if (!is_short) choose_part(subject, accessed.part, view.hit);
  return subject;
}

void HitValues::choose_part(Subject& subject, const ObjectPart& accessed, const Hit& hit) {
  const auto is_known = [&](const ObjectPart& part) {
    return contains(subject.known, part.offset, part.type->length);
  };
  const bool is_alone = is_known(accessed) && !differs_outside(hit, subject.known, accessed);
  const ObjectPart& part = is_alone ? accessed : place_of(subject.known).part;
  // A number of which only some bytes are known is none.
  const bool is_cut = part.type->parts.empty() && !is_known(part);
  subject.type = is_cut ? nullptr : part.type;
  subject.offset = part.offset;
  subject.is_part = true;
}

bool may_have_names(const HitValues::Subject& subject) {
  if (subject.type == nullptr) return false;
  return subject.is_part || !subject.type->parts.empty() ||
         subject.type->kind == symbols::ValueKind::pointer || !subject.type->enumerators.empty();
}

bool append_value_text(fmt::memory_buffer& buffer, const MemoryValue& value,
                       const HitValues::Subject& subject, symbols::AddressNames* names) {
  if (subject.type == nullptr) {
    append_text(buffer, value, symbols::ValueType(), subject.known.length);
    return false;
  }
  if (subject.type->parts.empty() && !subject.is_part) {
    return append_scalar_text(buffer, value, *subject.type, names);
  }
  const bool names_it =
      append_typed_text(buffer, value, subject.known, *subject.type, subject.offset, names);
  // A member's number is more than the slot's bytes.
  return names_it || subject.type->parts.empty();
}

}  // namespace trapline::report
