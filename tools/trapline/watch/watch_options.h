// What `trapline watch` was asked to do: the command line as values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ports/linux/collector.h"
#include "trapline/base/access.h"
#include "trapline/base/units.h"
#include "trapline/watch/condition.h"

namespace trapline::command {

enum class OutputFormat : std::uint8_t {
  automatic,
  text,
  json
};  // automatic: text on a terminal, else JSON
enum class CollectorChoice : std::uint8_t { automatic, bpf, perf, ptrace };

// One --when, with its text for what its type turns out not to allow.
struct WhenCondition {
  std::string text;
  Condition condition;
};

struct WatchOptions {
  std::string what;
  std::optional<std::int32_t> pid;  // a process, or one thread of one
  bool whole_machine = false;
  std::vector<std::string> command;  // exactly one of pid, whole_machine and command is given
  bool follow_children = false;

  Access access = Access::write;
  std::optional<ByteCount> length;
  std::vector<WhenCondition> conditions;  // all must hold
  linux_port::StackMode stack = linux_port::StackMode::frame_pointer;
  bool values = true;

  std::optional<std::uint64_t> max_hits;
  std::optional<Nanoseconds> duration;
  bool summary = false;
  OutputFormat format = OutputFormat::automatic;
  std::string output;  // "": standard output
  CollectorChoice collector = CollectorChoice::automatic;
  bool verbose = false;
};

}  // namespace trapline::command
