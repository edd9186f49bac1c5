// The names of an enumeration's values. Pure.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <span>

#include "symbols/value_type.h"

namespace trapline::report {

// Appends "running", or "READ|WRITE" where the enumeration is a set of flags and the value an OR of
// them; returns false, with nothing appended, where the value has no name. `bits` has no more than
// the enumeration's own; `enumerators` are as in ValueType.
//
// An enumeration is taken for a set of flags if at least two of its values are single bits, all
// others are ORs of these or all ones, and they are not numbered one by one (0, 1, 2).
[[nodiscard]] bool append_enumerators(fmt::memory_buffer& buffer, std::uint64_t bits,
                                      std::span<const symbols::Enumerator> enumerators);

}  // namespace trapline::report
