// A watched value as text: for people and as JSON.
#pragma once

#include <fmt/format.h>

#include "symbols/value_type.h"
#include "trapline/watch/hit.h"

namespace trapline::report {

// "41", "-1", "true", "'a' (97)", "2.5", "0x7f00"; bytes as "de ad be ef" from the lowest address
// on.
void append_text(fmt::memory_buffer& buffer, const MemoryValue& value,
                 const symbols::ValueType& type);

// A JSON number, true or false; a string for what JSON has no number for: NaN and infinities
// ("nan", "inf", "-inf") and untyped bytes ("0xdeadbeef", lowest address first).
void append_json(fmt::memory_buffer& buffer, const MemoryValue& value,
                 const symbols::ValueType& type);

// The bits as a number of the type: for ranges in summaries.
[[nodiscard]] double as_number(const MemoryValue& value, const symbols::ValueType& type);

}  // namespace trapline::report
