#include "tools/trapline/messages.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace trapline::command {

void print_failure(const Failure& failure) {
  fmt::print(stderr, "trapline: {}\n", failure.message);
}

void print_output_failure() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
  fmt::print(stderr, "trapline: standard output cannot be written: {}\n", std::strerror(errno));
}

}  // namespace trapline::command
