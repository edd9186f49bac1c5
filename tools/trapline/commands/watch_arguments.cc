#include "tools/trapline/commands/watch_arguments.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "tools/trapline/watch/when_conditions.h"
#include "trapline/base/units.h"
#include "trapline/watch/condition.h"

namespace trapline::command {
namespace {

// The longest, 31 years, still fits into Nanoseconds when the clock is added.
constexpr double kShortestSeconds = 0.001;
constexpr double kLongestSeconds = 1e9;

const std::map<std::string, Access> access_names{
    {"r", Access::read}, {"w", Access::write}, {"rw", Access::read_write}, {"x", Access::execute}};
const std::map<std::string, linux_port::StackMode> stack_names{
    {"fp", linux_port::StackMode::frame_pointer},
    {"dwarf", linux_port::StackMode::dwarf},
    {"none", linux_port::StackMode::none}};
const std::map<std::string, bool> values_names{{"auto", true}, {"off", false}};
const std::map<std::string, OutputFormat> format_names{{"text", OutputFormat::text},
                                                       {"json", OutputFormat::json}};
const std::map<std::string, CollectorChoice> collector_names{{"auto", CollectorChoice::automatic},
                                                             {"bpf", CollectorChoice::bpf},
                                                             {"perf", CollectorChoice::perf},
                                                             {"ptrace", CollectorChoice::ptrace}};

// CLI11's own transformer lists numbers beside the words; users only ever see the words.
template <typename Value>
CLI::Option* add_choice(CLI::App& app, const std::string& names, Value& value,
                        const std::map<std::string, Value>& choices, const std::string& help) {
  std::string words;
  for (const auto& [word, meaning] : choices) words += (words.empty() ? "" : "|") + word;
  return app
      .add_option_function<std::string>(
          names,
          [&value, &choices, names, words](const std::string& text) {
            const auto found = choices.find(text);
            if (found == choices.end())
              throw CLI::ValidationError(names, fmt::format("'{}' is none of {}", text, words));
            value = found->second;
          },
          help)
      ->type_name(words);
}

// CLI11's own check of a positive number answers with a range of 300 digits.
CLI::Validator positive(const std::string& what) {
  return CLI::Validator(
      [what](const std::string& text) {
        const bool digits_only =
            !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
        const bool is_zero = text.find_first_not_of('0') == std::string::npos;
        return digits_only && !is_zero
                   ? std::string()
                   : fmt::format("'{}' is no {}: give a whole number above 0", text, what);
      },
      "");
}

}  // namespace

CLI::App* WatchArguments::declare(CLI::App& app) {
  command_ = app.add_subcommand(
      "watch", "Report every access to a variable: who, from where, old and new value");
  CLI::App& watch = *command_;
  watch
      .add_option("WHAT", options_.what,
                  "counter | cfg.mode | table[3].next->len | file.c:var | *0xADDR:LEN | func")
      ->required();
  watch.add_option("CMD", options_.command, "a command to start and watch, after --")
      ->type_name("[ARGS...]");
  watch.add_option("-p,--pid", pid_, "a running process; a thread's id watches that thread only")
      ->type_name("PID")
      ->check(positive("process id"));
  watch.add_flag(
      "-a,--all", options_.whole_machine,
      "the whole machine: a kernel symbol, *0xADDR:LEN, or FILE:NAME in every process that "
      "has FILE");
  watch.add_flag("--children", options_.follow_children, "also processes that the target forks");
  add_choice(watch, "-t,--access", options_.access, access_names, "kind of access (default w)");
  watch.add_option("-l,--length", length_, "bytes (default: the size of WHAT's type)")
      ->type_name("BYTES")
      ->check(positive("length"));
  watch
      .add_option(
          "--when", conditions_,
          "changed | new==0 | new>1.5 | 'new&0x80' | tid==42 | cpu==1 | comm==NAME; all must hold")
      ->type_name("COND")
      ->allow_extra_args(false);
  add_choice(watch, "--stack", options_.stack, stack_names, "how callers are found (default fp)");
  add_choice(watch, "--values", options_.values, values_names, "old and new value (default auto)");
  watch.add_option("-n,--max-hits", max_hits_, "end after N hits")
      ->type_name("N")
      ->check(positive("number of hits"));
  watch.add_option("--duration", duration_seconds_, "end after SECONDS")->type_name("SECONDS");
  watch.add_flag("--summary", options_.summary,
                 "no line per hit; a table of who touched it, by stack");
  add_choice(watch, "-f,--format", options_.format, format_names,
             "default: text on a terminal, else json");
  watch.add_option("-o,--output", options_.output, "write hits to FILE")->type_name("FILE");
  add_choice(watch, "--collector", options_.collector, collector_names,
             "how hits are caught (default auto)");
  watch.add_flag("-v,--verbose", options_.verbose,
                 "what the kernel says of the BPF programs that it refuses");
  return command_;
}

Result<WatchOptions> WatchArguments::options() const {
  WatchOptions options = options_;
  const bool has_pid = command_->count("--pid") > 0;
  const int targets = int{has_pid} + int{options.whole_machine} + int{!options.command.empty()};
  if (targets != 1) {
    return fail(ErrorCode::bad_syntax,
                targets == 0 ? "say whom to watch: -p PID for a running process, -a for the whole "
                               "machine, or -- CMD ARGS..."
                             : "give one of -p PID, -a and -- CMD, not several");
  }
  if (options.whole_machine) {
    if (options.follow_children)
      return fail(ErrorCode::bad_syntax, "-a watches all processes anyway; leave --children out");
    if (options.collector == CollectorChoice::ptrace)
      return fail(ErrorCode::bad_syntax,
                  "collector ptrace cannot watch the whole machine; leave --collector out, or use "
                  "-p PID");
  }
  if (has_pid) options.pid = pid_;
  if (command_->count("--length") > 0) {
    if (options.access == Access::execute) {
      return fail(ErrorCode::bad_syntax,
                  "-t x watches one instruction, the function's first; leave --length out");
    }
    options.length = ByteCount{length_};
  }
  if (command_->count("--max-hits") > 0) options.max_hits = max_hits_;
  if (command_->count("--duration") > 0) {
    // Written so that not-a-number is refused too.
    if (!(duration_seconds_ >= kShortestSeconds && duration_seconds_ <= kLongestSeconds)) {
      return fail(ErrorCode::bad_syntax,
                  fmt::format("--duration {}: give seconds from {} to {:.0f}", duration_seconds_,
                              kShortestSeconds, kLongestSeconds));
    }
    options.duration =
        Nanoseconds{static_cast<std::uint64_t>(duration_seconds_ * kNanosecondsPerSecond)};
  }
  for (const std::string& text : conditions_) {
    const auto condition = parse_condition(text);
    if (!condition) return std::unexpected(condition_failure(text, condition.error()));
    if (condition->needs_values() && (!options.values || options.access == Access::execute)) {
      return fail(ErrorCode::bad_syntax,
                  fmt::format("--when '{}' needs the values of hits, which {} leaves out", text,
                              options.values ? "-t x" : "--values off"));
    }
    options.conditions.push_back({text, *condition});
  }
  return options;
}

}  // namespace trapline::command
