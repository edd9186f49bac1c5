// The conditions of --when: a small language over the fields of a hit.
//
//   condition := "changed" | operand op operand
//   operand   := "old" | "new" | "tid" | "pid" | "cpu" | integer (decimal, 0x..., leading '-')
//   op        := "==" | "!=" | "<" | "<=" | ">" | ">="
//
// "changed" means old != new. Comparisons of old and new are signed or unsigned as the watched type
// is. Pure; freestanding; any context.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>

#include "trapline/base/error.h"
#include "trapline/base/units.h"
#include "trapline/watch/hit.h"

namespace trapline {

struct Operand {
  enum class Kind : std::uint8_t { literal, old_value, new_value, tid, pid, cpu };
  Kind kind = Kind::literal;
  std::uint64_t literal = 0;  // two's complement where negative
  bool negative = false;      // the literal had a '-'
};

enum class Comparison : std::uint8_t { equal, not_equal, less, less_equal, greater, greater_equal };

struct Condition {
  Operand left;
  Comparison comparison = Comparison::not_equal;
  Operand right;

  // Whether evaluating it needs old or new.
  [[nodiscard]] constexpr bool needs_values() const {
    const auto is_value = [](const Operand& operand) {
      return operand.kind == Operand::Kind::old_value || operand.kind == Operand::Kind::new_value;
    };
    return is_value(left) || is_value(right);
  }
};

// Where and why a text is not a condition.
struct ConditionError {
  std::size_t position = 0;  // of the first character that does not fit, counted from 0
  std::string_view reason;   // static text, e.g. "expected a comparison"
};

[[nodiscard]] std::expected<Condition, ConditionError> parse_condition(std::string_view text);

// How the bits of old and new are to be read.
struct ValueShape {
  ByteCount length{8};
  bool is_signed = false;
};

enum class Verdict : std::uint8_t { holds, fails, undecided };

// undecided when a value that is needed is unknown. An approximate value decides; the hit says that
// it is approximate.
[[nodiscard]] Verdict evaluate(const Condition& condition, const Hit& hit, ValueShape shape);

}  // namespace trapline
