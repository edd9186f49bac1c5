// From a Condition to a TypedCondition.
#include <optional>

#include "base/value_bytes.h"
#include "trapline/watch/condition.h"
#include "watch/decimal_float.h"

namespace trapline {
namespace {

using namespace std::string_view_literals;

constexpr std::uint64_t kAllBits = ~std::uint64_t{0};
// What a tid, pid and a CPU can be, as the types of units.h.
constexpr std::uint64_t kLargestTaskId = 0x7fff'ffff;
constexpr std::uint64_t kLargestCpu = 0xffff'ffff;

constexpr OrderedNumber negated(std::uint64_t magnitude) {
  return {magnitude != 0, ~magnitude + 1};
}

class Typist {
 public:
  Typist(const Condition& condition, ValueShape shape) : condition_(condition), shape_(shape) {}

  [[nodiscard]] std::expected<TypedCondition, ConditionError> type() const {
    switch (condition_.kind) {
      case Condition::Kind::thread_name:
        return TypedCondition{.comparison = condition_.comparison, .name = condition_.name};
      case Condition::Kind::changed:
        return TypedCondition{.left = {.field = HitField::old_value, .mask = value_bits()},
                              .right = {.field = HitField::new_value, .mask = value_bits()},
                              .comparison = Comparison::not_equal};
      case Condition::Kind::comparison:
        break;
    }
    TypedCondition typed{.comparison = condition_.comparison};
    const auto left = field_term(condition_.left);
    if (!left) return std::unexpected(left.error());
    const auto right = field_term(condition_.right);
    if (!right) return std::unexpected(right.error());
    typed.left = *left;
    typed.right = *right;
    if (condition_.left.field == HitField::none) return with_number(typed, typed.right, typed.left);
    if (condition_.right.field == HitField::none)
      return with_number(typed, typed.left, typed.right);
    if ((left->reading == Term::Reading::floating) != (right->reading == Term::Reading::floating))
      return error(condition_.right.position,
                   "a floating-point number is not compared with a whole one"sv);
    return typed;
  }

 private:
  template <typename T>
  using Typed = std::expected<T, ConditionError>;

  static std::unexpected<ConditionError> error(std::size_t position, std::string_view reason,
                                               bool is_of_the_type = true) {
    return std::unexpected(ConditionError{position, reason, is_of_the_type});
  }

  [[nodiscard]] std::uint64_t value_bits() const {
    return shape_.length.value == 0 ? kAllBits : low_bytes(kAllBits, shape_.length);
  }
  [[nodiscard]] bool can_be_compared() const {
    return !shape_.is_floating || shape_.length.value == sizeof(std::uint32_t) ||
           shape_.length.value == sizeof(std::uint64_t);
  }
  [[nodiscard]] FloatFormat format() const {
    return shape_.length.value == sizeof(std::uint32_t) ? FloatFormat::single_precision
                                                        : FloatFormat::double_precision;
  }

  // All bits that the field can have.
  [[nodiscard]] std::uint64_t bits_of(HitField field) const {
    if (is_value(field)) return value_bits();
    return field == HitField::cpu ? kLargestCpu : kLargestTaskId;
  }

  // Without its number, if it is one.
  [[nodiscard]] Typed<Term> field_term(const Operand& operand) const {
    Term term{.field = operand.field};
    if (operand.field == HitField::none) return term;
    const bool is_of_the_type = is_value(operand.field);
    term.mask = bits_of(operand.field);
    if (is_of_the_type && !can_be_compared())
      return error(operand.position,
                   "values of this type are not compared, only changed is known"sv);
    if (operand.mask) {
      if (is_of_the_type && shape_.is_floating)
        return error(operand.mask_position, "a floating-point number has no mask"sv);
      if ((*operand.mask & ~term.mask) != 0)
        return error(operand.mask_position, "the mask has bits beyond what it masks"sv,
                     is_of_the_type);
      term.mask = *operand.mask;
    } else if (is_of_the_type) {
      if (shape_.is_signed) term.reading = Term::Reading::signed_bits;
      if (shape_.is_floating) term.reading = Term::Reading::floating;
    }
    return term;
  }

  // `typed` with `side`, a part of it, made what is compared with `other`.
  [[nodiscard]] Typed<TypedCondition> with_number(TypedCondition& typed, const Term& other,
                                                  Term& side) const {
    const Operand& written = &side == &typed.left ? condition_.left : condition_.right;
    const bool is_of_the_type = is_value(other.field);
    std::optional<OrderedNumber> number;
    if (other.reading == Term::Reading::floating) {
      number = floating(written.number);
    } else {
      if (!written.number.is_whole)
        return error(written.position, "a whole number was expected"sv, is_of_the_type);
      number = whole(written.number, other);
    }
    if (!number) return error(written.position, "it can never be this number"sv, is_of_the_type);
    side.number = *number;
    return typed;
  }

  [[nodiscard]] std::optional<OrderedNumber> floating(const WrittenNumber& written) const {
    const auto bits = nearest_float(written.digits, written.exponent, format());
    if (!bits) return std::nullopt;
    return written.negative ? negated(*bits) : OrderedNumber{false, *bits};
  }

  // nullopt: `other` never has it.
  [[nodiscard]] std::optional<OrderedNumber> whole(const WrittenNumber& written,
                                                   const Term& other) const {
    const bool is_negative = written.negative && written.digits != 0;
    if (other.reading == Term::Reading::signed_bits) {
      const std::uint64_t sign = other.mask ^ (other.mask >> 1);
      if (written.digits > sign - (is_negative ? 0 : 1)) return std::nullopt;
    } else {
      if (is_negative || written.digits > other.mask) return std::nullopt;
      const bool asks_for_equality = condition_.comparison == Comparison::equal ||
                                     condition_.comparison == Comparison::not_equal;
      if (asks_for_equality && (written.digits & ~other.mask) != 0) return std::nullopt;
    }
    return is_negative ? negated(written.digits) : OrderedNumber{false, written.digits};
  }

  const Condition& condition_;
  ValueShape shape_;
};

}  // namespace

std::expected<TypedCondition, ConditionError> type_condition(const Condition& condition,
                                                             ValueShape shape) {
  return Typist(condition, shape).type();
}

}  // namespace trapline
