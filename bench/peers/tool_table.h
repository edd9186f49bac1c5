// The tools that are measured, as rows of a table: what each is called, how it is started, how its
// hits are counted. A tool is added by a row in tool_table.cc. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trapline::peers {

enum class Kind : std::uint8_t {
  floor,  // it only counts: what the trap itself costs, which no tool can go below
  peer,
  trapline,
};

// Where the number of hits is read from: {out} or standard output (reported_hits.h).
enum class CountSource : std::uint8_t {
  perf_stat,
  perf_data,
  bpftrace_counts,
  bpftrace_values,
  gdb,
  lldb,
  trapline_records,
};

// What the number of hits to measure with depends on.
enum class Pace : std::uint8_t {
  runs_on,         // the target is not stopped
  copies_stacks,   // kilobytes for each hit
  stops_for_each,  // by a debugger: hundreds of microseconds for each hit
};

struct Tool {
  std::string_view name;
  Kind kind = Kind::peer;
  std::string_view program = {};  // in PATH; that of Trapline is told by an option
  // With {address}, {loop} (the target's file), {writes} (its argument), {out} (a file that the
  // tool writes) and {script} (a file that holds `script`).
  std::vector<std::string_view> arguments = {};
  CountSource source{};
  std::string_view gives = {};
  Pace pace = Pace::runs_on;
  std::string_view script = {};
  std::string_view collector = {};            // Trapline's
  std::optional<double> goal = std::nullopt;  // the ratio to reach
};

// In the order of the report; the floor is the first.
[[nodiscard]] const std::vector<Tool>& all_tools();

// What the placeholders stand for.
struct Invocation {
  std::string address;
  std::string loop;
  std::uint64_t writes = 0;
  std::string out;
  std::string script;
};

// The whole command line, `program` first.
[[nodiscard]] std::vector<std::string> command_line(const Tool& tool, const std::string& program,
                                                    const Invocation& invocation);

}  // namespace trapline::peers
