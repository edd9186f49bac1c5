#include "bench/peers/tool_table.h"

#include <array>
#include <utility>

namespace trapline::peers {
namespace {

// Scripts come from files: the body of a loop that -ex begins is read from standard input.
constexpr std::string_view kGdbScript =
    "set pagination off\n"
    "break main\n"
    "run\n"
    "watch counter\n"
    "while $_isvoid($_exitcode)\n"
    "continue\n"
    "end\n";
constexpr std::string_view kLldbScript =
    "breakpoint set -n main\n"
    "run\n"
    "watchpoint set variable counter\n"
    "watchpoint command add -o continue 1\n"
    "continue\n";
constexpr std::string_view kBpftraceCount = "watchpoint:{address}:4:w { @[ustack] = count(); }";
constexpr std::string_view kBpftraceValue =
    R"(watchpoint:{address}:4:w { printf("%d\n", *(int32*){address}); })";

constexpr std::string_view kEvent = "mem:{address}/4:w";
constexpr std::string_view kEverything =
    "names, lines, stacks, old and new value, the culprit; JSON to a file";

Tool perf_record(std::string_view name, std::vector<std::string_view> stacks,
                 std::string_view gives, Pace pace = Pace::runs_on) {
  // perf watches BPF programs in a thread that ends in steps of a second, which would drown the
  // slope: --no-bpf-event.
  std::vector<std::string_view> arguments = {"record", "-q", "--no-bpf-event", "-c1"};
  arguments.insert(arguments.end(), stacks.begin(), stacks.end());
  arguments.insert(arguments.end(), {"-e", kEvent, "-o", "{out}", "{loop}", "{writes}"});
  return {.name = name,
          .program = "perf",
          .arguments = std::move(arguments),
          .source = CountSource::perf_data,
          .gives = gives,
          .pace = pace};
}

Tool bpftrace(std::string_view name, std::string_view program, CountSource source,
              std::string_view gives) {
  return {.name = name,
          .program = "bpftrace",
          .arguments = {"-q", "-o", "{out}", "-e", program, "-c", "{loop} {writes}"},
          .source = source,
          .gives = gives};
}

Tool trapline(std::string_view name, std::string_view collector,
              std::vector<std::string_view> options, std::string_view gives,
              std::optional<double> goal = std::nullopt) {
  std::vector<std::string_view> arguments = {"watch", "counter", "--collector", collector};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.insert(arguments.end(), {"-f", "json", "-o", "{out}", "--", "{loop}", "{writes}"});
  return {.name = name,
          .kind = Kind::trapline,
          .program = "trapline",
          .arguments = std::move(arguments),
          .source = CountSource::trapline_records,
          .gives = gives,
          .collector = collector,
          .goal = goal};
}

std::vector<Tool> make_tools() {
  constexpr double kRecordGoal = 1.25;
  constexpr double kStackGoal = 1.20;
  constexpr double kInstructionGoal = 1.08;
  constexpr double kRejectedGoal = 1.06;
  return {
      {.name = "perf stat",
       .kind = Kind::floor,
       .program = "perf",
       .arguments = {"stat", "-x,", "-o", "{out}", "-e", kEvent, "{loop}", "{writes}"},
       .source = CountSource::perf_stat,
       .gives = "a count: the floor"},
      perf_record("perf record", {}, "addresses"),
      perf_record("perf record -g", {"-g"}, "addresses, stacks"),
      perf_record("perf record --call-graph dwarf", {"--call-graph", "dwarf"},
                  "addresses, copies of the stack", Pace::copies_stacks),
      bpftrace("bpftrace, count by ustack", kBpftraceCount, CountSource::bpftrace_counts,
               "counts by stack"),
      bpftrace("bpftrace, printf the value", kBpftraceValue, CountSource::bpftrace_values,
               "the new value"),
      {.name = "gdb, watch and continue",
       .program = "gdb",
       .arguments = {"-nx", "-batch", "-x", "{script}", "--args", "{loop}", "{writes}"},
       .source = CountSource::gdb,
       .gives = "old and new value, line",
       .pace = Pace::stops_for_each,
       .script = kGdbScript},
      {.name = "lldb, watch and continue",
       .program = "lldb",
       .arguments = {"--no-lldbinit", "--no-use-colors", "--batch", "--source", "{script}", "--",
                     "{loop}", "{writes}"},
       .source = CountSource::lldb,
       .gives = "that it stopped",
       .pace = Pace::stops_for_each,
       .script = kLldbScript},
      trapline("trapline, bpf", "bpf", {}, kEverything, kRecordGoal),
      trapline("trapline, perf", "perf", {}, kEverything),
      trapline("trapline, ptrace", "ptrace", {}, kEverything),
      trapline("trapline --summary, bpf", "bpf", {"--summary"}, "the same, by stack", kStackGoal),
      trapline("trapline --summary, perf", "perf", {"--summary"}, "the same, by stack"),
      trapline("trapline --summary --stack none, bpf", "bpf", {"--summary", "--stack", "none"},
               "the same, by instruction", kInstructionGoal),
      trapline("trapline --when new==0, bpf", "bpf", {"--when", "new==0"},
               "nothing: every hit is rejected", kRejectedGoal),
      trapline("trapline --when new==0, perf", "perf", {"--when", "new==0"},
               "nothing: every hit is rejected"),
  };
}

std::string filled(std::string_view pattern, const Invocation& invocation) {
  const std::array<std::pair<std::string_view, std::string>, 5> values{{
      {"{address}", invocation.address},
      {"{loop}", invocation.loop},
      {"{writes}", std::to_string(invocation.writes)},
      {"{out}", invocation.out},
      {"{script}", invocation.script},
  }};
  std::string text(pattern);
  for (const auto& [placeholder, value] : values) {
    std::size_t at = 0;
    while ((at = text.find(placeholder, at)) != std::string::npos) {
      text.replace(at, placeholder.size(), value);
      at += value.size();
    }
  }
  return text;
}

}  // namespace

const std::vector<Tool>& all_tools() {
  static const std::vector<Tool> kTools = make_tools();
  return kTools;
}

std::vector<std::string> command_line(const Tool& tool, const std::string& program,
                                      const Invocation& invocation) {
  std::vector<std::string> line = {program};
  for (const std::string_view argument : tool.arguments)
    line.push_back(filled(argument, invocation));
  return line;
}

}  // namespace trapline::peers
