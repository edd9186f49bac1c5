#include "trapline/watch/condition.h"

#include <array>
#include <compare>
#include <optional>

namespace trapline {
namespace {

// Texts with their lengths: a plain literal would leave strlen() to a table of pointers.
using namespace std::string_view_literals;

constexpr bool is_space(char c) {
  return c == ' ' || c == '\t';
}
constexpr bool is_letter(char c) {
  return c >= 'a' && c <= 'z';
}

// A cursor over the text; every failure points at where it stands.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::expected<Condition, ConditionError> parse() {
    skip_space();
    if (take_word("changed")) {
      Condition changed{
          {Operand::Kind::old_value}, Comparison::not_equal, {Operand::Kind::new_value}};
      return at_end(changed);
    }
    Condition condition;
    const auto left = take_operand();
    if (!left) return std::unexpected(left.error());
    condition.left = *left;
    const auto comparison = take_comparison();
    if (!comparison) return std::unexpected(comparison.error());
    condition.comparison = *comparison;
    const auto right = take_operand();
    if (!right) return std::unexpected(right.error());
    condition.right = *right;
    return at_end(condition);
  }

 private:
  [[nodiscard]] char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }
  // Not substr(), which throws: position_ never passes the end.
  [[nodiscard]] std::string_view rest() const {
    return {text_.data() + position_, text_.size() - position_};
  }
  void skip_space() {
    while (is_space(peek())) ++position_;
  }
  [[nodiscard]] std::unexpected<ConditionError> error(std::string_view reason) const {
    return std::unexpected(ConditionError{position_, reason});
  }

  std::expected<Condition, ConditionError> at_end(const Condition& condition) {
    skip_space();
    if (position_ != text_.size()) return error("nothing more was expected"sv);
    return condition;
  }

  [[nodiscard]] std::string_view word_here() const {
    std::size_t end = position_;
    while (end < text_.size() && is_letter(text_[end])) ++end;
    return {text_.data() + position_, end - position_};
  }

  bool take_word(std::string_view word) {
    if (word_here() != word) return false;
    position_ += word.size();
    return true;
  }

  std::expected<Operand, ConditionError> take_operand() {
    skip_space();
    struct Name {
      std::string_view word;
      Operand::Kind kind;
    };
    static constexpr std::array kNames{
        Name{"old", Operand::Kind::old_value}, Name{"new", Operand::Kind::new_value},
        Name{"tid", Operand::Kind::tid}, Name{"pid", Operand::Kind::pid},
        Name{"cpu", Operand::Kind::cpu}};
    for (const Name& name : kNames) {
      if (take_word(name.word)) return Operand{name.kind};
    }
    if (!word_here().empty())
      return error("unknown name: use old, new, tid, pid, cpu or a number"sv);
    return take_number();
  }

  std::expected<Operand, ConditionError> take_number() {
    constexpr std::uint64_t kDecimal = 10;
    constexpr std::uint64_t kHexadecimal = 16;
    Operand number;
    if (peek() == '-') {
      number.negative = true;
      ++position_;
    }
    std::uint64_t base = kDecimal;
    if (rest().starts_with("0x")) {
      base = kHexadecimal;
      position_ += 2;
    }
    const std::size_t first = position_;
    while (const auto digit = digit_here(base)) {
      if (__builtin_mul_overflow(number.literal, base, &number.literal) ||
          __builtin_add_overflow(number.literal, *digit, &number.literal)) {
        return error("the number does not fit into 64 bits"sv);
      }
      ++position_;
    }
    if (position_ == first) return error("expected old, new, tid, pid, cpu or a number"sv);
    if (number.negative) {
      if (number.literal > std::uint64_t{1} << 63)
        return error("the number does not fit into 64 bits"sv);
      number.literal = ~number.literal + 1;
    }
    return number;
  }

  [[nodiscard]] std::optional<std::uint64_t> digit_here(std::uint64_t base) const {
    constexpr int kTen = 10;
    const char c = peek();
    int value = -1;
    if (c >= '0' && c <= '9') value = c - '0';
    if (c >= 'a' && c <= 'f') value = c - 'a' + kTen;
    if (c >= 'A' && c <= 'F') value = c - 'A' + kTen;
    if (value < 0 || static_cast<std::uint64_t>(value) >= base) return std::nullopt;
    return static_cast<std::uint64_t>(value);
  }

  std::expected<Comparison, ConditionError> take_comparison() {
    skip_space();
    struct Sign {
      std::string_view text;
      Comparison comparison;
    };
    // Longer signs first: "<=" begins with "<".
    static constexpr std::array kSigns{
        Sign{"==", Comparison::equal},      Sign{"!=", Comparison::not_equal},
        Sign{"<=", Comparison::less_equal}, Sign{">=", Comparison::greater_equal},
        Sign{"<", Comparison::less},        Sign{">", Comparison::greater}};
    for (const Sign& sign : kSigns) {
      if (rest().starts_with(sign.text)) {
        position_ += sign.text.size();
        return sign.comparison;
      }
    }
    return error("expected ==, !=, <, <=, > or >="sv);
  }

  std::string_view text_;
  std::size_t position_ = 0;
};

// A mathematical integer in [-2^63, 2^64): what either signed or unsigned bits can mean.
struct Number {
  bool negative = false;
  std::uint64_t bits = 0;  // two's complement where negative

  friend constexpr std::strong_ordering operator<=>(const Number& a, const Number& b) {
    if (a.negative != b.negative)
      return a.negative ? std::strong_ordering::less : std::strong_ordering::greater;
    return a.bits <=> b.bits;
  }
};

Number read_value(const MemoryValue& value, ValueShape shape) {
  constexpr unsigned kBitsPerByte = 8;
  constexpr std::uint64_t kWordBytes = 8;
  if (shape.length.value == 0 || shape.length.value >= kWordBytes) {
    return {shape.is_signed && value.bits >> 63 != 0, value.bits};
  }
  const std::uint64_t mask = (std::uint64_t{1} << (shape.length.value * kBitsPerByte)) - 1;
  const std::uint64_t bits = value.bits & mask;
  const bool negative = shape.is_signed && (bits & ~(mask >> 1)) != 0;
  return {negative, negative ? bits | ~mask : bits};
}

std::optional<Number> read_operand(const Operand& operand, const Hit& hit, ValueShape shape) {
  const auto value = [shape](const MemoryValue& memory) -> std::optional<Number> {
    if (memory.certainty == Certainty::unknown) return std::nullopt;
    return read_value(memory, shape);
  };
  const auto identity = [](auto id) { return Number{false, static_cast<std::uint64_t>(id.value)}; };
  switch (operand.kind) {
    case Operand::Kind::literal:
      return Number{operand.negative && operand.literal != 0, operand.literal};
    case Operand::Kind::old_value:
      return value(hit.old_value);
    case Operand::Kind::new_value:
      return value(hit.new_value);
    case Operand::Kind::tid:
      return identity(hit.tid);
    case Operand::Kind::pid:
      return identity(hit.pid);
    case Operand::Kind::cpu:
      return identity(hit.cpu);
  }
  return std::nullopt;
}

bool compare(Comparison comparison, std::strong_ordering order) {
  switch (comparison) {
    case Comparison::equal:
      return order == 0;
    case Comparison::not_equal:
      return order != 0;
    case Comparison::less:
      return order < 0;
    case Comparison::less_equal:
      return order <= 0;
    case Comparison::greater:
      return order > 0;
    case Comparison::greater_equal:
      return order >= 0;
  }
  return false;
}

}  // namespace

std::expected<Condition, ConditionError> parse_condition(std::string_view text) {
  return Parser(text).parse();
}

Verdict evaluate(const Condition& condition, const Hit& hit, ValueShape shape) {
  const auto left = read_operand(condition.left, hit, shape);
  const auto right = read_operand(condition.right, hit, shape);
  if (!left || !right) return Verdict::undecided;
  return compare(condition.comparison, *left <=> *right) ? Verdict::holds : Verdict::fails;
}

}  // namespace trapline
