// From a DWARF type to what the values of a watched object are read by.
#pragma once

#include "symbols/dwarf_types.h"
#include "symbols/value_type.h"

namespace trapline::symbols {

// A class that wraps one scalar (std::atomic<int>, std::unique_ptr<T>) is read as that scalar. The
// parts of a damaged or giant type are left out.
[[nodiscard]] ValueType value_type_of(const DwarfType& type);

// Of a bit-field: its length is that of the bytes it lies in.
[[nodiscard]] ValueType value_type_of(const DwarfType& type, const BitField& field);

}  // namespace trapline::symbols
