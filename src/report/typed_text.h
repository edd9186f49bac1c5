// A watched value with the names that its type and the process give it: enumerators, members, what
// a pointer points to. Pure but for the look-up of names.
#pragma once

#include <fmt/format.h>

#include "symbols/address_names.h"
#include "symbols/value_type.h"
#include "trapline/base/units.h"
#include "trapline/watch/hit.h"

namespace trapline::report {

// Which bytes of an object a value has.
struct KnownRange {
  ByteCount offset;  // from the object's start
  ByteCount length;  // at most 8
};

// A value of a type without parts:
//   "running"             an enumerator, or flags: see enumerator_text.h
//   "0x404010 <table+16>" a pointer, where `names` (may be null) knows what it points to
// and all else as value_text.h has it. Returns whether a name was found.
bool append_scalar_text(fmt::memory_buffer& buffer, const MemoryValue& value,
                        const symbols::ValueType& type, symbols::AddressNames* names);

// Appends what `value`, which is not unknown, tells of the part of type `type` at `offset` of the
// object:
//   "{x = 1, y = 2}"   a struct, class or union; members of its base classes and of anonymous
//                      members among its own
//   "[1, 2]", "\"ab\"" an array; of char: without the NULs at its end
// Members and elements of which no byte is known are left out, one that is not known whole is "?".
// Where that leaves nothing (padding), the bytes.
//
// Returns whether that says more than the number or the bytes in JSON.
bool append_typed_text(fmt::memory_buffer& buffer, const MemoryValue& value,
                       const KnownRange& known, const symbols::ValueType& type, ByteCount offset,
                       symbols::AddressNames* names);

}  // namespace trapline::report
