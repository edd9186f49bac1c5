// The conditions of --when for the object that is watched, and what is said of one that is wrong.
#pragma once

#include <string>
#include <vector>

#include "base/failure.h"
#include "symbols/value_type.h"
#include "tools/trapline/watch/watch_options.h"
#include "trapline/base/units.h"
#include "trapline/watch/condition.h"

namespace trapline::command {

// A text that is no condition: bad_syntax, with a caret under the character that does not fit.
[[nodiscard]] Failure condition_failure(const std::string& text, const ConditionError& error);

// Those of `options` for values of `type` that are `length` bytes. Of an object of more than 8
// bytes a value is the part that was hit, without a sign. Errors: as above, with what the type is.
[[nodiscard]] Result<std::vector<TypedCondition>> type_conditions(const WatchOptions& options,
                                                                  const symbols::ValueType& type,
                                                                  ByteCount length);

}  // namespace trapline::command
