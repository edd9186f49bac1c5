#include "tools/trapline/messages.h"

#include <fmt/format.h>

#include <cstdio>

namespace trapline::command {

void print_failure(const Failure& failure) {
  fmt::print(stderr, "trapline: {}\n", failure.message);
}

}  // namespace trapline::command
