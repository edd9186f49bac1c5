// Explores the hotplug state machine: hotplug_explore [OPTION...] [SCENARIO [CHOICES]]
//
//   (nothing)           every scenario: schedules, seconds, and any violation
//   SCENARIO            one of them
//   SCENARIO CHOICES    one schedule of it, by the choices that a violation printed (and the bound
//   it
//                       was found with)
//   --preemptions N     instead of each scenario's own bound
//   --must-find         for a build with a seeded mutation: bounds from 0 up; the status is 0 only
//                       if a violation was found
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "interleave/explorer.h"
#include "interleave/scenario.h"

namespace trapline::interleave {
namespace {

struct Arguments {
  std::optional<unsigned> preemptions = std::nullopt;
  bool must_find = false;
  std::string scenario;
  std::string choices;
};

// Whether a violation was found.
bool explore(const Scenario& scenario, unsigned preemptions, const std::string& choices) {
  Explorer explorer;
  const auto program = make_program(scenario);
  const Report report = choices.empty() ? explorer.explore(*program, preemptions)
                                        : explorer.replay(*program, preemptions, choices);
  std::printf("%-28.*s %u CPUs %zu threads %u preemptions %9llu schedules %7.2f s\n",
              static_cast<int>(scenario.name.size()), scenario.name.data(), scenario.cpu_count,
              scenario.threads.size(), preemptions,
              static_cast<unsigned long long>(report.schedules), report.seconds);
  if (report.violation) std::printf("%s", text_of(*report.violation).c_str());
  return report.violation.has_value();
}

int run(const Arguments& arguments) {
  bool is_known = arguments.scenario.empty();
  // The cheap schedules of all scenarios before the dear ones of any.
  for (unsigned round = arguments.must_find ? 0 : 3; round <= 3; ++round) {
    for (const Scenario& scenario : scenarios()) {
      if (!arguments.scenario.empty() && arguments.scenario != scenario.name) continue;
      is_known = true;
      unsigned preemptions = arguments.preemptions.value_or(bound_of(scenario));
      if (arguments.must_find) preemptions = round;
      const bool found = explore(scenario, preemptions, arguments.choices);
      if (found) return arguments.must_find ? EXIT_SUCCESS : EXIT_FAILURE;
    }
  }
  if (!is_known) std::fprintf(stderr, "no scenario '%s'\n", arguments.scenario.c_str());
  if (arguments.must_find) std::fprintf(stderr, "no violation: the mutation was missed\n");
  return is_known && !arguments.must_find ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace trapline::interleave

int main(int argc, char** argv) {
  trapline::interleave::Arguments arguments;
  for (int index = 1; index < argc; ++index) {
    const std::string_view argument = argv[index];
    if (argument == "--must-find") {
      arguments.must_find = true;
    } else if (argument == "--preemptions" && index + 1 < argc) {
      arguments.preemptions = static_cast<unsigned>(std::strtoul(argv[++index], nullptr, 10));
    } else if (arguments.scenario.empty()) {
      arguments.scenario = argument;
    } else {
      arguments.choices = argument;
    }
  }
  return trapline::interleave::run(arguments);
}
