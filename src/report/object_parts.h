// Which member or element of a watched object some of its bytes are. Pure.
#pragma once

#include <string>
#include <string_view>

#include "symbols/value_type.h"
#include "trapline/base/units.h"

namespace trapline::report {

struct ObjectPart {
  std::string path;                          // ".pos.x", "[3].len"; "" for the whole
  ByteCount offset;                          // from the object's start
  const symbols::ValueType* type = nullptr;  // in the object's own type
};

// The innermost part in which all of the `length` bytes at `offset` lie. Where several have them (a
// union's members), the part around these: which of them was meant, no access tells.
[[nodiscard]] ObjectPart find_part(const symbols::ValueType& object, ByteCount offset,
                                   ByteCount length);

// A part as WHAT could name it, from the WHAT of the object: "cfg" and ".mode" give "cfg.mode",
// "*p" and ".mode" give "p->mode".
[[nodiscard]] std::string name_part(std::string_view object, std::string_view path);

}  // namespace trapline::report
