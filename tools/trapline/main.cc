// The command line of trapline: one subcommand per job. CLI11 does the parsing; jobs live in
// commands/.

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <optional>
#include <string>

#include "tools/trapline/commands/cpus.h"
#include "tools/trapline/commands/demo.h"
#include "tools/trapline/commands/watch.h"
#include "tools/trapline/commands/watch_arguments.h"
#include "tools/trapline/doctor/doctor.h"
#include "tools/trapline/messages.h"
#include "tools/trapline/version.h"

namespace {

using trapline::command::DoctorOptions;
using trapline::command::WatchArguments;

// A standard descriptor that is closed would be given to the next file that is opened, and hits
// written into it. Standard output gets one that refuses to be written to, so that the failure is
// reported; remarks just have nobody to read them.
void reserve_standard_descriptors() {
  constexpr int kModes[] = {O_RDONLY, O_RDONLY, O_WRONLY};
  for (int descriptor = 0; descriptor <= STDERR_FILENO; ++descriptor) {
    // The lowest free number is given out, so it is this one.
    if (::fcntl(descriptor, F_GETFD) < 0) (void)::open("/dev/null", kModes[descriptor]);
  }
}

// What CLI11 found wrong, as one line of ours. Help and the version are no errors.
int report_parse_result(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    app.exit(error);
    std::cout.flush();
    if (std::cout.good()) return 0;
    trapline::command::print_output_failure();
    return trapline::command::kExitNothingWatched;
  }
  const auto chosen = app.get_subcommands();
  const std::string command =
      chosen.empty() ? app.get_name() : app.get_name() + " " + chosen.front()->get_name();
  std::cerr << "trapline: " << error.what() << "; see: " << command << " --help\n";
  return trapline::command::kExitUsage;
}

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

  trapline::command::CpusOptions cpus;
  CLI::App* cpus_command = app.add_subcommand("cpus", "Each CPU's hotplug state");
  cpus_command->add_flag("--follow", cpus.follow, "go on, and tell of every change as it happens");
  std::string cpus_format;
  cpus_command
      ->add_option("-f,--format", cpus_format,
                   "text or json; default: text on a terminal, else json")
      ->check(CLI::IsMember({"text", "json"}));

  CLI::App* demo_command = app.add_subcommand("demo", "A program with a corruption bug, caught");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return report_parse_result(app, error);
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
  if (cpus_command->parsed()) {
    if (!cpus_format.empty())
      cpus.format = cpus_format == "json" ? trapline::command::OutputFormat::json
                                          : trapline::command::OutputFormat::text;
    return trapline::command::run_cpus(cpus);
  }
  if (demo_command->parsed()) return trapline::command::run_demo();
  return trapline::command::kExitUsage;
}

}  // namespace

int main(int argc, char** argv) {
  reserve_standard_descriptors();
  // Only a failed allocation or a library's bug throws here; it must not end in std::terminate with
  // the target stopped.
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "trapline: internal error: " << error.what() << '\n';
    return trapline::command::kExitNothingWatched;
  }
}
