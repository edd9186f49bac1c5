#include "tools/trapline/commands/demo.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>

#include "tools/trapline/commands/watch.h"
#include "tools/trapline/messages.h"
#include "tools/trapline/watch/watch_options.h"

namespace trapline::command {
namespace {

constexpr const char* kProgram = "trapline-demo-target";
constexpr const char* kVictim = "ledger.accounts[2].balance";

// Beside the command in a build tree, in libexec once installed.
std::string find_program() {
  std::error_code error;
  const std::filesystem::path here =
      std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const auto& place :
       std::array{here / kProgram, here.parent_path() / "libexec" / "trapline" / kProgram}) {
    if (::access(place.c_str(), X_OK) == 0) return place.string();
  }
  return {};
}

}  // namespace

int run_demo() {
  const std::string program = find_program();
  if (program.empty()) {
    print_failure(
        {Error{ErrorCode::unknown_name},
         fmt::format("{} is not beside the command nor in ../libexec/trapline; install it again",
                     kProgram)});
    return kExitNothingWatched;
  }
  fmt::print(stderr,
             "A small bank keeps its books with several threads, all deposits under a mutex; yet "
             "one balance is wrong\n"
             "now and then. Who writes to it? Asked from outside, without stopping the program:\n\n"
             "  trapline watch '{}' --when changed -f text -- {}\n\n",
             kVictim, program);
  WatchOptions options;
  options.what = kVictim;
  options.command = {program};
  options.format = OutputFormat::text;
  options.conditions = {{"changed", parse_condition("changed").value()}};
  const int status = run_watch(options);
  if (status != 0) return status;
  fmt::print(stderr,
             "\nEvery deposit comes from deposit(). The write that does not is the bug: "
             "set_owner() copies a name one\n"
             "byte too far, into the balance behind it.\n");
  return status;
}

}  // namespace trapline::command
