// What WHAT may be: the text of a watch target, parsed. Pure: no file, no process.
//
//   target     := "*" number [ ":" number ]              an address, and a length in bytes
//                                                        (without: a machine word)
//               | "*"* [ file ":" ] name access*         file.c:static_var, *p.next
//   access     := "." member | "->" member | "[" number "]"
//   name       := [ "::" ] part ( "::" part )*           ns::Class::member
//   part       := identifier, with template arguments, parameters and ABI tags taken verbatim
//               | operator name, with parameters | "(anonymous namespace)" | "{lambda(int)#1}"
//   number     := decimal | 0x hexadecimal
//
// The file may be a path's tail ("net/tcp.c") or a module ("libc.so.6"). A leading "*" dereferences
// the whole, as in C; "&" is refused with a hint.
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
