// From a text to a Condition.
#include <array>
#include <optional>
#include <tuple>

#include "trapline/watch/condition.h"

namespace trapline {
namespace {

// Texts with their lengths: a plain literal would leave strlen() to a table of pointers.
using namespace std::string_view_literals;

constexpr std::string_view kTooLarge = "the number does not fit into 64 bits"sv;

constexpr bool is_space(char c) {
  return c == ' ' || c == '\t';
}
constexpr bool is_letter(char c) {
  return c >= 'a' && c <= 'z';
}
constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// A cursor over the text; every failure points at where it stands.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::expected<Condition, ConditionError> parse() {
    skip_space();
    if (take_word("changed"sv)) return at_end({.kind = Condition::Kind::changed});
    if (take_word("comm"sv)) return take_thread_name();
    return take_two_sides();
  }

 private:
  template <typename T>
  using Parsed = std::expected<T, ConditionError>;

  [[nodiscard]] char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }
  [[nodiscard]] bool is_at_end() const { return position_ == text_.size(); }
  // Not substr(), which throws: position_ never passes the end.
  [[nodiscard]] std::string_view rest() const {
    return {text_.data() + position_, text_.size() - position_};
  }
  void skip_space() {
    while (is_space(peek())) ++position_;
  }
  [[nodiscard]] std::unexpected<ConditionError> error(std::string_view reason) const {
    return error_at(position_, reason);
  }
  [[nodiscard]] static std::unexpected<ConditionError> error_at(std::size_t position,
                                                                std::string_view reason) {
    return std::unexpected(ConditionError{position, reason});
  }

  Parsed<Condition> at_end(const Condition& condition) {
    skip_space();
    if (!is_at_end()) return error("nothing more was expected"sv);
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
  bool take(char wanted) {
    skip_space();
    if (is_at_end() || peek() != wanted) return false;
    ++position_;
    return true;
  }

  // --- the name of a thread ---

  Parsed<Condition> take_thread_name() {
    Condition condition{.kind = Condition::Kind::thread_name};
    skip_space();
    const std::size_t sign = position_;
    const auto comparison = take_comparison();
    if (!comparison || (*comparison != Comparison::equal && *comparison != Comparison::not_equal))
      return error_at(sign, "comm is compared with == or !="sv);
    condition.comparison = *comparison;
    skip_space();
    const char quote = peek();
    const bool is_quoted = quote == '\'' || quote == '"';
    if (is_quoted) ++position_;
    const std::size_t begin = position_;
    while (!is_at_end() && (is_quoted ? peek() != quote : !is_space(peek()))) ++position_;
    const std::string_view name(text_.data() + begin, position_ - begin);
    if (is_quoted && is_at_end()) return error("the quotation mark at the end is missing"sv);
    if (is_quoted) ++position_;
    if (name.empty()) return error_at(begin, "expected the name of a thread"sv);
    const std::size_t longest = condition.name.size() - 1;
    if (name.size() > longest)
      return error_at(begin + longest, "names of threads have at most 15 bytes"sv);
    name.copy(condition.name.data(), longest);
    return at_end(condition);
  }

  // --- two sides ---

  Parsed<Condition> take_two_sides() {
    Condition condition;
    const auto left = take_side();
    if (!left) return std::unexpected(left.error());
    condition.left = *left;
    skip_space();
    if (is_at_end() && left->mask) {
      condition.right.position = position_;
      return condition;
    }
    const auto comparison = take_comparison();
    if (!comparison) return std::unexpected(comparison.error());
    condition.comparison = *comparison;
    const auto right = take_side();
    if (!right) return std::unexpected(right.error());
    condition.right = *right;
    if (left->field == HitField::none && right->field == HitField::none)
      return error_at(left->position, "two numbers: name old, new, tid, pid, cpu or comm"sv);
    return at_end(condition);
  }

  Parsed<Operand> take_side() {
    const bool is_parenthesised = take('(');
    auto side = take_operand();
    if (!side) return side;
    if (take('&')) {
      const auto second = take_operand();
      if (!second) return second;
      side = with_mask(*side, *second);
      if (!side) return side;
    }
    if (is_parenthesised && !take(')')) return error("expected )"sv);
    return side;
  }

  // The mask may stand on either side.
  static Parsed<Operand> with_mask(const Operand& first, const Operand& second) {
    const bool is_first = first.field == HitField::none;
    const Operand& mask = is_first ? first : second;
    Operand side = is_first ? second : first;
    if (mask.field != HitField::none)
      return error_at(mask.position, "a mask is a number: new & 0x80"sv);
    if (side.field == HitField::none)
      return error_at(first.position, "two numbers: name old, new, tid, pid or cpu"sv);
    if (mask.number.negative || !mask.number.is_whole)
      return error_at(mask.position, "a mask is a whole number without a sign"sv);
    if (mask.number.digits == 0) return error_at(mask.position, "a mask of 0 leaves no bit"sv);
    side.mask = mask.number.digits;
    side.mask_position = mask.position;
    return side;
  }

  Parsed<Operand> take_operand() {
    skip_space();
    struct Name {
      std::string_view word;
      HitField field;
    };
    static constexpr std::array kNames{
        Name{"old"sv, HitField::old_value}, Name{"new"sv, HitField::new_value},
        Name{"tid"sv, HitField::tid}, Name{"pid"sv, HitField::pid}, Name{"cpu"sv, HitField::cpu}};
    Operand operand{.position = position_};
    for (const Name& name : kNames) {
      if (!take_word(name.word)) continue;
      operand.field = name.field;
      return operand;
    }
    if (!word_here().empty())
      return error("unknown name: use old, new, tid, pid, cpu, comm, changed or a number"sv);
    const auto number = take_number();
    if (!number) return std::unexpected(number.error());
    operand.number = *number;
    return operand;
  }

  // --- numbers ---

  Parsed<WrittenNumber> take_number() {
    constexpr std::uint64_t kDecimal = 10;
    constexpr std::uint64_t kHexadecimal = 16;
    WrittenNumber number;
    if (peek() == '-') {
      number.negative = true;
      ++position_;
    }
    const bool is_hexadecimal = rest().starts_with("0x"sv);
    if (is_hexadecimal) position_ += 2;
    const std::size_t first = position_;
    const auto digits = take_digits(is_hexadecimal ? kHexadecimal : kDecimal, number);
    if (!digits) return std::unexpected(digits.error());
    if (position_ == first) return error("expected old, new, tid, pid, cpu or a number"sv);
    if (!is_hexadecimal) {
      if (const auto fraction = take_fraction(number); !fraction)
        return std::unexpected(fraction.error());
    }
    if (number.is_whole && number.negative && number.digits > std::uint64_t{1} << 63)
      return error(kTooLarge);
    return number;
  }

  Parsed<std::tuple<>> take_digits(std::uint64_t base, WrittenNumber& number) {
    while (const auto digit = digit_here(base)) {
      if (__builtin_mul_overflow(number.digits, base, &number.digits) ||
          __builtin_add_overflow(number.digits, *digit, &number.digits))
        return error(kTooLarge);
      ++position_;
    }
    return {};
  }

  // A point with digits, an exponent, both or neither.
  Parsed<std::tuple<>> take_fraction(WrittenNumber& number) {
    constexpr std::uint64_t kDecimal = 10;
    int exponent = 0;
    if (peek() == '.') {
      number.is_whole = false;
      ++position_;
      const std::size_t first = position_;
      if (!is_digit(peek())) return error("expected a digit"sv);
      const auto digits = take_digits(kDecimal, number);
      if (!digits) return error("more digits than a floating-point number can tell apart"sv);
      exponent = -static_cast<int>(position_ - first);
    }
    if (peek() == 'e' || peek() == 'E') {
      number.is_whole = false;
      ++position_;
      const auto written = take_exponent();
      if (!written) return std::unexpected(written.error());
      exponent += *written;
    }
    number.exponent = static_cast<std::int16_t>(exponent);
    return {};
  }

  Parsed<int> take_exponent() {
    constexpr int kDecimal = 10;
    constexpr int kLargest = 999;
    const bool is_negative = peek() == '-';
    if (is_negative || peek() == '+') ++position_;
    if (!is_digit(peek())) return error("expected a digit"sv);
    int exponent = 0;
    for (; is_digit(peek()); ++position_) {
      exponent = exponent * kDecimal + (peek() - '0');
      if (exponent > kLargest) return error("no floating-point number has such an exponent"sv);
    }
    return is_negative ? -exponent : exponent;
  }

  [[nodiscard]] std::optional<std::uint64_t> digit_here(std::uint64_t base) const {
    constexpr int kTen = 10;
    const char c = peek();
    int value = -1;
    if (is_digit(c)) value = c - '0';
    if (c >= 'a' && c <= 'f') value = c - 'a' + kTen;
    if (c >= 'A' && c <= 'F') value = c - 'A' + kTen;
    if (value < 0 || static_cast<std::uint64_t>(value) >= base) return std::nullopt;
    return static_cast<std::uint64_t>(value);
  }

  Parsed<Comparison> take_comparison() {
    skip_space();
    struct Sign {
      std::string_view text;
      Comparison comparison;
    };
    // Longer signs first: "<=" begins with "<".
    static constexpr std::array kSigns{
        Sign{"=="sv, Comparison::equal},      Sign{"!="sv, Comparison::not_equal},
        Sign{"<="sv, Comparison::less_equal}, Sign{">="sv, Comparison::greater_equal},
        Sign{"<"sv, Comparison::less},        Sign{">"sv, Comparison::greater}};
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

}  // namespace

std::expected<Condition, ConditionError> parse_condition(std::string_view text) {
  return Parser(text).parse();
}

}  // namespace trapline
