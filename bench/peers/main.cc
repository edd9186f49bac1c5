// peers_bench: what one hit costs with Trapline and with the tools beside it, in one run.
//
// Status: 0 if all was measured that can be; 1 if nothing could be, or if Trapline's hits and
// losses do not add up to what was written; 2 for a usage error.
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "bench/peers/machine.h"
#include "bench/peers/process.h"
#include "bench/peers/results.h"
#include "bench/peers/rounds.h"
#include "bench/peers/threads.h"
#include "bench/peers/tool_runner.h"
#include "bench/peers/tool_table.h"

namespace trapline::peers {
namespace {

namespace fs = std::filesystem;

constexpr int kExitNothingMeasured = 1;
constexpr int kExitUsage = 2;

struct Options {
  std::string folder = "build/peers";
  std::string trapline;
  std::vector<std::string> only;  // parts of names; none: all
  RoundsPlan plan{.rounds = 7,
                  .runs_on = {2'000, 82'000},
                  .copies_stacks = {1'000, 11'000},
                  .stops_for_each = {100, 2'100}};
  AttachPlan attach{.threads = 1'000, .rounds = 11};
  WritersPlan writers{.threads = 16, .seconds = 10};
  unsigned limit = 120;  // seconds
};

// Files of the run: perf's may have hundreds of megabytes.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (fs::temp_directory_path() / "peers.XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw fs::filesystem_error("no folder", {});
    path_ = pattern;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void declare(CLI::App& app, Options& options) {
  const auto add_counts = [&app](const std::string& name, WriteCounts& counts,
                                 const std::string& what) {
    app.add_option("--few" + name, counts.few, "writes of the short run" + what)
        ->capture_default_str();
    app.add_option("--many" + name, counts.many, "writes of the long run" + what)
        ->capture_default_str();
  };
  app.add_option("-o,--output", options.folder, "folder for peers.md, peers.json and peers.svg")
      ->capture_default_str();
  app.add_option("--rounds", options.plan.rounds, "how often everything is measured")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_option("--only", options.only,
                 "of the tools, only those with this in their name, and the floor; repeatable")
      ->allow_extra_args(false);
  add_counts("", options.plan.runs_on, "");
  add_counts("-stacks", options.plan.copies_stacks, ", where stacks are copied");
  add_counts("-stops", options.plan.stops_for_each, ", for debuggers");
  app.add_option("--attach-threads", options.attach.threads,
                 "threads to attach to; 0: leave that out")
      ->capture_default_str();
  app.add_option("--attach-rounds", options.attach.rounds, "how often that is measured")
      ->capture_default_str();
  app.add_option("--writers", options.writers.threads,
                 "threads that write at once; 0: leave that out")
      ->capture_default_str();
  app.add_option("--writer-seconds", options.writers.seconds, "for how long")
      ->capture_default_str();
  app.add_option("--limit", options.limit, "seconds that one run of a tool may take")
      ->capture_default_str();
  app.add_option("--trapline", options.trapline,
                 "the command; default: the one beside this program");
}

// "": they are sound.
std::string fault_of(const Options& options) {
  for (const auto& [few, many] :
       {options.plan.runs_on, options.plan.copies_stacks, options.plan.stops_for_each}) {
    if (few == 0 || few >= many) return "the short run must have writes, and the long one more";
  }
  return "";
}

std::vector<Tool> chosen_tools(const std::vector<std::string>& only) {
  const auto is_chosen = [&only](const Tool& tool) {
    const auto is_in_name = [&tool](const std::string& part) {
      return tool.name.find(part) != std::string_view::npos;
    };
    return only.empty() || tool.kind == Kind::floor || std::ranges::any_of(only, is_in_name);
  };
  std::vector<Tool> tools;
  std::ranges::copy_if(all_tools(), std::back_inserter(tools), is_chosen);
  return tools;
}

Result<std::string> address_of_variable(const std::string& loop, const std::string& folder) {
  const std::string out = folder + "/address";
  const auto time = time_of({loop}, out, folder + "/error", std::chrono::seconds{10});
  if (!time) return std::unexpected(time.error());
  return last_line(text_of(out));
}

void say_round(std::size_t round, std::size_t rounds) {
  std::cerr << "peers: round " << round + 1 << " of " << rounds << '\n';
}

Result<Results> measure_all(const Options& options, const fs::path& programs,
                            const std::string& scratch) {
  auto collectors = ask_doctor(options.trapline, scratch);
  if (!collectors) return std::unexpected(collectors.error());
  const std::string loop = programs / "peers_hit_loop";
  const auto address = address_of_variable(loop, scratch);
  if (!address) return std::unexpected(address.error());

  Results results{.machine = this_machine(),
                  .plan = options.plan,
                  .attach_plan = options.attach,
                  .writers_plan = options.writers};
  ToolRunner runner(
      {.trapline = options.trapline, .loop = loop, .address = *address, .folder = scratch},
      *collectors, std::chrono::seconds{options.limit});
  results.tools = measure(chosen_tools(options.only), options.plan, runner,
                          [&](std::size_t round) { say_round(round, options.plan.rounds); });
  const ThreadPlaces places{.trapline = options.trapline,
                            .idle_threads = programs / "peers_idle_threads",
                            .writers = programs / "peers_writers",
                            .folder = scratch};
  if (options.attach.threads > 0) {
    std::cerr << "peers: attaching\n";
    results.attach = measure_attach(places, options.attach, *collectors);
  }
  if (options.writers.threads > 0) {
    std::cerr << "peers: writing at once\n";
    results.writers = check_writers(places, options.writers, *collectors);
  }
  return results;
}

Result<void> write_file(const fs::path& path, const std::string& text) {
  std::ofstream stream(path, std::ios::binary);
  stream << text;
  stream.close();
  if (stream) return {};
  return fail(ErrorCode::output_failed, "cannot write " + path.string());
}

Result<void> write_files(const Results& results, const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);  // a failure shows with the first file
  const std::pair<const char*, std::string> files[] = {{"peers.md", to_markdown(results)},
                                                       {"peers.json", to_json(results)},
                                                       {"peers.svg", to_svg(results)}};
  for (const auto& [name, text] : files) {
    if (auto written = write_file(folder / name, text); !written) return written;
  }
  return {};
}

int complain(const std::string& message, int status) {
  std::cerr << "peers: " << message << '\n';
  return status;
}

int run(int argc, char** argv) {
  CLI::App app("Measures what one hit costs with Trapline and with the tools beside it.",
               "peers_bench");
  Options options;
  declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (const std::string fault = fault_of(options); !fault.empty())
    return complain(fault, kExitUsage);

  const fs::path programs = fs::read_symlink("/proc/self/exe").parent_path();
  if (options.trapline.empty()) options.trapline = programs / "trapline";
  const ScratchFolder scratch;
  const auto results = measure_all(options, programs, scratch.path());
  if (!results) return complain(results.error().message, kExitNothingMeasured);
  std::cout << to_markdown(*results);
  if (const auto written = write_files(*results, options.folder); !written)
    return complain(written.error().message, kExitNothingMeasured);
  const std::string wrong = wrong_account(*results);
  return wrong.empty()
             ? 0
             : complain("not every write is accounted for: " + wrong, kExitNothingMeasured);
}

}  // namespace
}  // namespace trapline::peers

int main(int argc, char** argv) {
  try {
    return trapline::peers::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "peers: internal error: " << error.what() << '\n';
    return 1;
  }
}
