// What the command says to a person who made a mistake or lacks a right, and the exit statuses.
#pragma once

#include "base/failure.h"

namespace trapline::command {

inline constexpr int kExitNothingWatched = 1;
inline constexpr int kExitUsage = 2;

// "trapline: ..." on standard error.
void print_failure(const Failure& failure);
// That what was just written to standard output did not get there; errno tells why.
void print_output_failure();

}  // namespace trapline::command
