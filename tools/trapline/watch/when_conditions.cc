#include "tools/trapline/watch/when_conditions.h"

#include <fmt/format.h>

#include <cstdint>

#include "base/value_bytes.h"
#include "tools/trapline/messages.h"

namespace trapline::command {
namespace {

ValueShape shape_of(const symbols::ValueType& type, ByteCount length) {
  const bool is_floating = type.kind == symbols::ValueKind::floating;
  return {length, type.is_signed && length.value <= kWordBytes, is_floating};
}

// "unsigned char, 0 to 255".
std::string describe(const symbols::ValueType& type, ByteCount length) {
  std::string text =
      type.name.empty() ? fmt::format("{} bytes of no known type", length.value) : type.name;
  if (type.kind == symbols::ValueKind::floating || length.value > kWordBytes || length.value == 0)
    return text;
  const std::uint64_t largest = ~std::uint64_t{0} >> (kBitsPerByte * (kWordBytes - length.value));
  if (!type.is_signed) return text + fmt::format(", 0 to {}", largest);
  const auto positive = static_cast<std::int64_t>(largest >> 1);
  return text + fmt::format(", {} to {}", -positive - 1, positive);
}

Failure pointing_failure(const std::string& text, const ConditionError& error,
                         const std::string& explanation) {
  return Failure{Error{ErrorCode::bad_syntax},
                 fmt::format("--when '{}': {}{} {}", text, error.reason, explanation,
                             pointing_at(text, error.position))};
}

}  // namespace

Failure condition_failure(const std::string& text, const ConditionError& error) {
  return pointing_failure(text, error, "");
}

Result<std::vector<TypedCondition>> type_conditions(const WatchOptions& options,
                                                    const symbols::ValueType& type,
                                                    ByteCount length) {
  std::vector<TypedCondition> conditions;
  for (const WhenCondition& when : options.conditions) {
    const auto typed = type_condition(when.condition, shape_of(type, length));
    if (!typed) {
      const ConditionError& error = typed.error();
      return std::unexpected(pointing_failure(
          when.text, error,
          error.is_of_the_type ? fmt::format("; {} is {}", options.what, describe(type, length))
                               : ""));
    }
    conditions.push_back(*typed);
  }
  return conditions;
}

}  // namespace trapline::command
