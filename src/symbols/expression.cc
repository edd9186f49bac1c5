#include "symbols/expression.h"

#include <algorithm>
#include <utility>

#include "symbols/qualified_name.h"

namespace trapline::symbols {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::optional<std::uint64_t> digit_value(char c, std::uint64_t base) {
  constexpr std::uint64_t kTen = 10;
  std::uint64_t value = base;
  if (is_digit(c)) value = static_cast<std::uint64_t>(c - '0');
  if (c >= 'a' && c <= 'f') value = static_cast<std::uint64_t>(c - 'a') + kTen;
  if (c >= 'A' && c <= 'F') value = static_cast<std::uint64_t>(c - 'A') + kTen;
  if (value >= base) return std::nullopt;
  return value;
}

template <typename T>
using Parsed = std::expected<T, SyntaxError>;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Parsed<Expression> parse() {
    skip_space();
    if (at_end()) return error("expected a variable's name or *ADDRESS:LENGTH");
    if (peek() == '&')
      return error("leave '&' out: the object itself is watched, not a copy of its address");
    std::size_t dereferences = 0;
    for (; take("*"); ++dereferences) skip_space();
    if (is_digit(peek())) {
      if (dereferences == 1) return parse_address();
      return error("an address is written *0x...:LENGTH");
    }
    auto object = parse_object();
    if (!object) return std::unexpected(object.error());
    object->steps.insert(object->steps.end(), dereferences,
                         AccessStep{AccessStep::Kind::dereference, {}, 0});
    return Expression(std::move(*object));
  }

 private:
  [[nodiscard]] bool at_end() const { return position_ >= text_.size(); }
  [[nodiscard]] char peek() const { return at_end() ? '\0' : text_[position_]; }
  void skip_space() {
    while (is_space(peek())) ++position_;
  }
  bool take(std::string_view token) {
    if (!text_.substr(position_).starts_with(token)) return false;
    position_ += token.size();
    return true;
  }
  [[nodiscard]] std::unexpected<SyntaxError> error(std::string reason) const {
    return std::unexpected(SyntaxError{position_, std::move(reason)});
  }

  Parsed<std::uint64_t> parse_number() {
    constexpr std::uint64_t kDecimal = 10;
    constexpr std::uint64_t kHexadecimal = 16;
    const std::uint64_t base = take("0x") || take("0X") ? kHexadecimal : kDecimal;
    std::uint64_t value = 0;
    std::size_t digits = 0;
    while (const auto digit = digit_value(peek(), base)) {
      if (__builtin_mul_overflow(value, base, &value) ||
          __builtin_add_overflow(value, *digit, &value)) {
        return error("the number does not fit into 64 bits");
      }
      ++position_;
      ++digits;
    }
    if (digits == 0) return error("expected a number");
    return value;
  }

  Parsed<Expression> parse_address() {
    const auto address = parse_number();
    if (!address) return std::unexpected(address.error());
    ExplicitAddress result{RemoteAddress(*address), std::nullopt};
    skip_space();
    if (take(":")) {
      skip_space();
      const auto length = parse_number();
      if (!length) return std::unexpected(length.error());
      if (*length == 0) return error("the length must be at least 1");
      result.length = ByteCount{*length};
    }
    skip_space();
    if (!at_end()) return error("nothing more was expected after the address");
    return Expression(result);
  }

  Parsed<NamedObject> parse_object() {
    NamedObject object;
    object.file = take_file();
    auto name = parse_name();
    if (!name) return std::unexpected(name.error());
    object.name = std::move(*name);
    while (true) {
      skip_space();
      if (at_end()) return object;
      auto step = parse_step();
      if (!step) return std::unexpected(step.error());
      object.steps.push_back(std::move(*step));
    }
  }

  // "dir/file.c:" in front of a name: up to the first single colon, if that comes before any
  // bracket and any "::".
  std::string take_file() {
    const std::size_t colon = text_.find_first_of(":[<({", position_);
    const bool is_single = colon != std::string_view::npos && text_[colon] == ':' &&
                           !text_.substr(colon).starts_with("::");
    if (!is_single) return {};
    std::string file(text_.substr(position_, colon - position_));
    while (!file.empty() && is_space(file.back())) file.pop_back();
    if (file.empty()) return {};
    position_ = colon + 1;
    return file;
  }

  Parsed<std::string> parse_name() {
    skip_space();
    if (is_digit(peek())) return error("expected a name; a length is given with --length");
    take("::");
    const std::size_t first = position_;
    do {
      if (const auto part = parse_name_part(); !part) return std::unexpected(part.error());
    } while (take("::"));
    std::string name(text_.substr(first, position_ - first));
    while (is_space(name.back())) name.pop_back();
    return name;
  }

  Parsed<void> parse_name_part() {
    if (take("(anonymous namespace)")) return {};
    if (peek() == '{') return skip_group();
    take("~");
    if (!is_name_start(peek())) return error("expected a name");
    const std::size_t first = position_;
    while (is_name_part(peek())) ++position_;
    if (text_.substr(first, position_ - first) == "operator") {
      skip_operator();
    }
    if (take("[abi:")) {
      while (is_name_part(peek())) ++position_;
      if (!take("]")) return error("expected ']'");
    }
    for (const char open : {'<', '('}) {
      if (peek() != open) continue;
      if (const auto group = skip_group(); !group) return group;
    }
    take(" const");
    return {};
  }

  // "()", or signs or a type up to the parameters.
  void skip_operator() {
    if (take("()")) return;
    while (!at_end() && peek() != '(') {
      if (take("::")) continue;
      if (peek() == ':') return;
      ++position_;
    }
  }

  // From an opening bracket behind its partner.
  Parsed<void> skip_group() {
    const std::size_t first = position_;
    int depth = 0;
    while (!at_end()) {
      const char c = peek();
      ++position_;
      if (c == '<' || c == '(' || c == '{') ++depth;
      if (c == '>' || c == ')' || c == '}') --depth;
      if (depth == 0) return {};
    }
    position_ = first;
    return error("this bracket is never closed");
  }

  Parsed<AccessStep> parse_step() {
    if (take("->")) return parse_member(AccessStep::Kind::arrow, "->");
    if (take(".")) return parse_member(AccessStep::Kind::member, ".");
    if (!take("[")) return error("expected '.', '->' or '['");
    skip_space();
    const auto index = parse_number();
    if (!index) return error("expected an index: a number without sign");
    skip_space();
    if (!take("]")) return error("expected ']'");
    return AccessStep{AccessStep::Kind::element, {}, *index};
  }

  Parsed<AccessStep> parse_member(AccessStep::Kind kind, std::string_view sign) {
    skip_space();
    if (!is_name_start(peek()))
      return error("expected a member's name after '" + std::string(sign) + "'");
    const std::size_t first = position_;
    while (is_name_part(peek())) ++position_;
    return AccessStep{kind, std::string(text_.substr(first, position_ - first)), 0};
  }

  std::string_view text_;
  std::size_t position_ = 0;
};

}  // namespace

std::expected<Expression, SyntaxError> parse_expression(std::string_view text) {
  return Parser(text).parse();
}

}  // namespace trapline::symbols
