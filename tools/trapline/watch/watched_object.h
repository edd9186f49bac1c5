// From WHAT to the range that is watched: names resolved, length chosen, slots planned.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/failure.h"
#include "symbols/expression.h"
#include "symbols/process_image.h"
#include "symbols/value_type.h"
#include "tools/trapline/watch/watch_options.h"
#include "trapline/port/debug_architecture.h"
#include "trapline/port/memory_reader.h"
#include "trapline/watch/condition.h"
#include "trapline/watch/plan.h"
#include "trapline/watch/request.h"

namespace trapline::command {

struct WatchedObject {
  Request request;
  Plan plan;
  symbols::ValueType type;
  std::string module;                      // file it lies in; "" for an explicit address
  RemoteAddress module_start;              // where that is mapped
  std::vector<TypedCondition> conditions;  // those of --when, for values of this object
  std::vector<std::string> notes;
};

// An expression that does not parse, with a caret under the character that does not fit.
[[nodiscard]] Failure syntax_failure(const std::string& what, const symbols::SyntaxError& error);

// `type` for `length` bytes from its first one on. If these are more or fewer than it has, they are
// no value of it any more, but its parts still lie where they do.
[[nodiscard]] symbols::ValueType with_length(symbols::ValueType type, ByteCount length);

// The object with the plan for its request and the conditions for its type. Errors: those of
// make_plan and of type_conditions, each with its sentence.
[[nodiscard]] Result<WatchedObject> with_plan(const WatchOptions& options,
                                              const DebugArchitecture& machine,
                                              WatchedObject object);

// Errors: those of the resolver and of with_plan, each with its sentence.
[[nodiscard]] Result<WatchedObject> find_watched_object(const WatchOptions& options,
                                                        symbols::ProcessImage& image,
                                                        MemoryReader& memory,
                                                        const DebugArchitecture& machine);

}  // namespace trapline::command
