// What WHAT may be: the text of a watch target, parsed. Pure: no file, no process.
//
//   target     := "*" number [ ":" number ]            an address, and a length in bytes
//               | [ file ":" ] name access*            file.c:static_var, ns::Class::member,
//               counter
//   access     := "." name | "->" name | "[" number "]"
//   name       := identifier ( "::" identifier )*       operator names and template arguments are
//   taken verbatim:
//                                                       std::vector<int>::end, ns::f(int)
//   number     := decimal | 0x hexadecimal
//
// A leading "*" before a name ("*p.next") dereferences the whole; "&" is refused with a hint.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "trapline/base/address.h"
#include "trapline/base/units.h"

namespace trapline::symbols {

struct ExplicitAddress {
  RemoteAddress address;
  std::optional<ByteCount> length;
};

struct AccessStep {
  enum class Kind : std::uint8_t { member, arrow, element, dereference };
  Kind kind{};
  std::string name;         // member, arrow
  std::uint64_t index = 0;  // element
};

struct NamedObject {
  std::string file;  // "" if none was given; may be a path's tail: "net/tcp.c"
  std::string name;
  std::vector<AccessStep> steps;
};

using Expression = std::variant<ExplicitAddress, NamedObject>;

struct SyntaxError {
  std::size_t position = 0;  // counted from 0
  std::string reason;        // e.g. "expected a member name after '.'"
};

[[nodiscard]] std::expected<Expression, SyntaxError> parse_expression(std::string_view text);

}  // namespace trapline::symbols
