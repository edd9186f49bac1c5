// The conditions of --when: a small language over the fields of a hit.
//
//   condition := "changed"
//              | "comm" ( "==" | "!=" ) name
//              | side op side
//              | side with a mask                   the same, "!= 0"
//   side      := operand [ "&" operand ], with or without parentheses around it
//   operand   := "old" | "new" | "tid" | "pid" | "cpu" | number
//   number    := [ "-" ] ( decimal | 0x hexadecimal | decimal with a point or an exponent, 2.5e-3 )
//   op        := "==" | "!=" | "<" | "<=" | ">" | ">="
//   name      := characters up to the next space, or any in '...' or "..."; at most 15 bytes
//
// "&" binds tighter than the comparison, other than in C: new & 0xff == 3 is (new & 0xff) == 3. One
// of its operands is a number, the mask; the result is a number without a sign.
//
// "changed" means that the bytes differ. Comparisons of old and new are as the watched type is:
// signed, unsigned, or of floating-point numbers, where -0 equals 0 and a NaN is unequal to all
// (new != new: it became one). A number takes the type that it is compared with, rounded to the
// nearest for floating point; one that this type does not have is an error, no condition that
// always fails.
//
// In two steps: a text becomes a Condition, and that a TypedCondition once the type of the watched
// variable is known. Pure; freestanding, without floating-point instructions; any context.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "trapline/base/error.h"
#include "trapline/base/units.h"
#include "trapline/watch/hit.h"

namespace trapline {

enum class Comparison : std::uint8_t { equal, not_equal, less, less_equal, greater, greater_equal };

// What is read of a hit.
enum class HitField : std::uint8_t { none, old_value, new_value, tid, pid, cpu };

[[nodiscard]] constexpr bool is_value(HitField field) {
  return field == HitField::old_value || field == HitField::new_value;
}

// A number as it is written: digits * 10^exponent.
struct WrittenNumber {
  std::uint64_t digits = 0;
  std::int16_t exponent = 0;
  bool negative = false;
  bool is_whole = true;  // without a point or an exponent
};

// One side of a comparison, as it is written.
struct Operand {
  HitField field = HitField::none;  // none: a number
  WrittenNumber number{};
  std::optional<std::uint64_t> mask{};  // of a field
  std::size_t position = 0;             // in the text
  std::size_t mask_position = 0;
};

// A condition as it is written.
struct Condition {
  enum class Kind : std::uint8_t { comparison, changed, thread_name };
  Kind kind = Kind::comparison;
  Operand left{};   // comparison
  Operand right{};  // comparison
  Comparison comparison = Comparison::not_equal;
  std::array<char, 16> name{};  // thread_name; NUL-padded

  // Whether evaluating it needs old or new.
  [[nodiscard]] constexpr bool needs_values() const {
    return kind == Kind::changed ||
           (kind == Kind::comparison && (is_value(left.field) || is_value(right.field)));
  }
};

// Where and why a text is not a condition.
struct ConditionError {
  std::size_t position = 0;     // of the first character that does not fit, counted from 0
  std::string_view reason;      // static text, e.g. "expected a comparison"
  bool is_of_the_type = false;  // another watched type might allow it
};

[[nodiscard]] std::expected<Condition, ConditionError> parse_condition(std::string_view text);

// How the bits of old and new are to be read. A length of 0 or more than 8 counts as 8.
struct ValueShape {
  ByteCount length{8};
  bool is_signed = false;
  bool is_floating = false;  // only lengths of 4 and 8 can be compared
};

// A whole number in [-2^63, 2^64), what either signed or unsigned bits can mean; or the place of a
// floating-point number in the order of all.
struct OrderedNumber {
  bool negative = false;
  std::uint64_t bits = 0;  // two's complement where negative

  friend constexpr bool operator==(const OrderedNumber&, const OrderedNumber&) = default;
};

// One side of a comparison, with all that it takes to read it.
struct Term {
  enum class Reading : std::uint8_t { unsigned_bits, signed_bits, floating };
  HitField field = HitField::none;  // none: `number`
  Reading reading = Reading::unsigned_bits;
  // The bits of the field that count. For signed_bits and floating all of the value's; the highest
  // of them is the sign.
  std::uint64_t mask = ~std::uint64_t{0};
  OrderedNumber number{};

  // Floating: the bits, without the sign, beyond which there are only NaNs.
  [[nodiscard]] constexpr std::uint64_t infinity() const {
    constexpr std::uint64_t kOfFloat = 0x7f80'0000;
    constexpr std::uint64_t kOfDouble = 0x7ff0'0000'0000'0000;
    return mask >> 32 == 0 ? kOfFloat : kOfDouble;
  }
};

struct TypedCondition {
  Term left{};
  Term right{};
  Comparison comparison = Comparison::not_equal;
  std::array<char, 16> name{};  // NUL-padded; not empty: the thread's name is compared with this

  [[nodiscard]] constexpr bool is_about_thread_name() const { return name[0] != '\0'; }
};

// Errors: what this type can never be, or cannot be compared with.
[[nodiscard]] std::expected<TypedCondition, ConditionError> type_condition(
    const Condition& condition, ValueShape shape);

enum class Verdict : std::uint8_t { holds, fails, undecided };

// undecided when something that is needed is unknown. An approximate value decides; the hit says
// that it is approximate.
[[nodiscard]] Verdict evaluate(const TypedCondition& condition, const Hit& hit);

}  // namespace trapline
