// The options of `trapline watch` as CLI11 reads them, and their translation into WatchOptions.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "base/failure.h"
#include "tools/trapline/watch/watch_options.h"

namespace trapline::command {

class WatchArguments {
 public:
  // Adds the subcommand to `app`. This object must outlive the parsing.
  CLI::App* declare(CLI::App& app);

  // What was parsed. bad_syntax for what CLI11 cannot check by itself: not one of a process, the
  // whole machine and a command, a condition that does not parse (with a caret under the
  // character), --length with -t x.
  [[nodiscard]] Result<WatchOptions> options() const;

 private:
  WatchOptions options_;
  std::int32_t pid_ = 0;
  std::uint64_t length_ = 0;
  std::uint64_t max_hits_ = 0;
  double duration_seconds_ = 0;
  std::vector<std::string> conditions_;
  CLI::App* command_ = nullptr;
};

}  // namespace trapline::command
