// The command line of trapline: one subcommand per job. CLI11 does the parsing; jobs live in
// commands/.

#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <optional>
#include <string>

#include "tools/trapline/commands/demo.h"
#include "tools/trapline/commands/watch.h"
#include "tools/trapline/commands/watch_arguments.h"
#include "tools/trapline/doctor/doctor.h"
#include "tools/trapline/messages.h"
#include "tools/trapline/version.h"

namespace {

using trapline::command::DoctorOptions;
using trapline::command::WatchArguments;

int run(int argc, char** argv) {
  CLI::App app(
      "Who touched this memory: watches a variable of a running program without stopping it.",
      "trapline");
  app.set_version_flag("--version", trapline::command::kVersion);
  app.require_subcommand(1);

  WatchArguments watch;
  CLI::App* watch_command = watch.declare(app);

  DoctorOptions doctor;
  CLI::App* doctor_command =
      app.add_subcommand("doctor", "What this machine can watch, and why not");
  std::string doctor_format = "text";
  doctor_command->add_option("-f,--format", doctor_format, "text or json")
      ->check(CLI::IsMember({"text", "json"}));

  CLI::App* demo_command = app.add_subcommand("demo", "A program with a corruption bug, caught");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : trapline::command::kExitUsage;
  }

  if (watch_command->parsed()) {
    const auto options = watch.options();
    if (!options) {
      trapline::command::print_failure(options.error());
      return trapline::command::kExitUsage;
    }
    return trapline::command::run_watch(*options);
  }
  if (doctor_command->parsed()) {
    doctor.json = doctor_format == "json";
    return trapline::command::run_doctor(doctor);
  }
  if (demo_command->parsed()) return trapline::command::run_demo();
  return trapline::command::kExitUsage;
}

}  // namespace

int main(int argc, char** argv) {
  // Only a failed allocation or a library's bug throws here; it must not end in std::terminate with
  // the target stopped.
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "trapline: internal error: " << error.what() << '\n';
    return trapline::command::kExitNothingWatched;
  }
}
