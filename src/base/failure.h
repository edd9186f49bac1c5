// An Error with the sentence a person needs: what failed, why, and the next step. Hosted code only.
#pragma once

#include <expected>
#include <string>
#include <utility>

#include "trapline/base/error.h"

namespace trapline {

struct Failure {
  Error error;
  std::string message;  // one line, no trailing full stop needed, no "trapline: " in front
};

template <typename T>
using Result = std::expected<T, Failure>;

[[nodiscard]] inline std::unexpected<Failure> fail(ErrorCode code, std::string message,
                                                   int os_errno = 0) {
  return std::unexpected(Failure{Error{code, os_errno}, std::move(message)});
}

}  // namespace trapline
