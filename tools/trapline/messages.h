// What the command says to a person who made a mistake or lacks a right, and the exit statuses.
#pragma once

#include <cstddef>
#include <string>

#include "base/failure.h"

namespace trapline::command {

inline constexpr int kExitNothingWatched = 1;
inline constexpr int kExitUsage = 2;

// The end of a sentence about `text`: "(at character 3)", and the text on a line of its own with a
// caret under that character. `position` counts bytes, from 0.
[[nodiscard]] std::string pointing_at(const std::string& text, std::size_t position);

// "trapline: ..." on standard error.
void print_failure(const Failure& failure);
// That what was just written to standard output did not get there; errno tells why.
void print_output_failure();

}  // namespace trapline::command
