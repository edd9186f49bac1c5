// What the old and new value of a hit are values of, and how they read: as the whole object where
// that has at most 8 bytes, else as the part of it that was accessed.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "report/object_parts.h"
#include "report/reporter.h"
#include "report/typed_text.h"
#include "symbols/value_type.h"
#include "trapline/base/units.h"
#include "trapline/watch/hit.h"
#include "trapline/watch/request.h"

namespace trapline::report {

class HitValues {
 public:
  // What the hits are about. Before the first of them.
  void describe(const WatchStart& start);

  // Valid until the next call of either function.
  struct Subject {
    // The member or element that was accessed, as WHAT would name it; "" if that is the whole, more
    // than one, or not known.
    std::string_view member;
    const symbols::ValueType* type = nullptr;  // nullptr: bytes
    ByteCount offset;                          // of what has that type, from the object's start
    KnownRange known;                          // the bytes of old and new
    bool is_part = false;                      // the type is not that of all known bytes
  };
  [[nodiscard]] Subject subject_of(const HitView& view);

 private:
  struct Place {
    std::string member;
    ObjectPart part;
  };
  [[nodiscard]] const Place& place_of(const KnownRange& bytes);
  // Of a long object: the accessed part, or all of the slot where more has changed.
  void choose_part(Subject& subject, const ObjectPart& accessed, const Hit& hit);
  [[nodiscard]] KnownRange known_bytes(const HitView& view) const;
  [[nodiscard]] RemoteAddress start_in(const HitView& view) const;

  Request watch_;
  symbols::ValueType type_;
  std::string expression_;
  // By offset and length of the bytes: a watch has few.
  std::unordered_map<std::uint64_t, Place> places_;
};

// Whether a value's text can say more than JSON's number or bytes: not worth a try for plain
// numbers.
[[nodiscard]] bool may_have_names(const HitValues::Subject& subject);

// Appends a value that is not unknown, with the names that are known. Returns whether that says
// more than JSON's number or bytes do.
bool append_value_text(fmt::memory_buffer& buffer, const MemoryValue& value,
                       const HitValues::Subject& subject, symbols::AddressNames* names);

}  // namespace trapline::report
