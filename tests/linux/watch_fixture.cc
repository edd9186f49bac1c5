#include "tests/linux/watch_fixture.h"

#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

namespace trapline::testing {

unsigned line_of(const std::string& file, const std::string& mark) {
  std::ifstream source(std::string(TARGET_SOURCES) + "/" + file);
  std::string line;
  for (unsigned number = 1; std::getline(source, line); ++number) {
    if (line.ends_with("// " + mark)) return number;
  }
  ADD_FAILURE() << "no mark " << mark << " in " << file;
  return 0;
}

Puppet::Puppet(const std::string& program) : process_({program}) {
  const auto line = process_.read_line();
  EXPECT_TRUE(line && line->starts_with("ready")) << line.value_or("(nothing)");
}

std::string Puppet::obey(const std::string& line) {
  process_.write_line(line);
  const auto answer = process_.read_line();
  EXPECT_TRUE(answer && answer->starts_with("ok"))
      << line << " was answered by " << answer.value_or("(nothing)");
  return answer.value_or("");
}

std::vector<std::string> watch_arguments(const std::string& what, const Puppet& puppet,
                                         const std::vector<std::string>& more) {
  std::vector<std::string> arguments{what, "-p", std::to_string(puppet.pid())};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

namespace {

std::string fresh_path() {
  static int number = 0;
  return ::testing::TempDir() + "/watch." + std::to_string(::getpid()) + "." +
         std::to_string(++number) + ".json";
}

std::vector<std::string> command_line(const std::string& path,
                                      const std::vector<std::string>& arguments) {
  std::vector<std::string> line{TRAPLINE_COMMAND, "watch", "-f", "json", "-o", path};
  line.insert(line.end(), arguments.begin(), arguments.end());
  return line;
}

}  // namespace

Watch::Watch(const std::vector<std::string>& arguments)
    : path_(fresh_path()), process_(command_line(path_, arguments)) {
  wait_for_start();
}

Watch::~Watch() {
  std::filesystem::remove(path_);
}

void Watch::wait_for_start() {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    std::ifstream file(path_);
    std::string line;
    if (std::getline(file, line) && !file.eof()) {
      start_ = nlohmann::json::parse(line, nullptr, false);
      EXPECT_EQ(start_.value("type", ""), "start") << line;
      return;
    }
    if (!process_.is_running()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  ADD_FAILURE() << "no start line; standard error: " << process_.wait().err;
}

Watch::Result Watch::finish() {
  ChildProcess::Exit exit = process_.wait();
  EXPECT_FALSE(exit.timed_out) << "the watch did not end";
  Result result;
  result.status = exit.status;
  result.out = std::move(exit.out);
  result.err = std::move(exit.err);
  std::ifstream lines(path_);
  for (std::string line; std::getline(lines, line);) {
    auto record = nlohmann::json::parse(line, nullptr, false);
    EXPECT_FALSE(record.is_discarded()) << line;
    const std::string type = record.value("type", "");
    if (type == "hit") {
      result.hits.push_back(std::move(record));
    } else if (type == "cpu") {
      result.cpus.push_back(record);
    } else if (type == "lost") {
      result.lost.push_back(std::move(record));
    } else if (type == "summary") {
      result.summary.push_back(std::move(record));
    } else if (type == "end") {
      result.end = std::move(record);
    } else if (type != "start") {
      ADD_FAILURE() << "unexpected record: " << line;
    }
  }
  return result;
}

Watch::Result Watch::interrupt() {
  process_.signal(SIGINT);
  return finish();
}

bool wait_until(const std::function<bool()>& is_so, std::chrono::seconds at_most) {
  const auto deadline = std::chrono::steady_clock::now() + at_most;
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

namespace {

constexpr std::size_t kSlots = 4;

}  // namespace

std::vector<int> take_slots(pid_t pid) {
  static int variable;
  std::vector<int> descriptors;
  while (descriptors.size() < kSlots) {
    perf_event_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.type = PERF_TYPE_BREAKPOINT;
    attributes.bp_type = HW_BREAKPOINT_RW;
    attributes.bp_addr = reinterpret_cast<std::uintptr_t>(&variable);
    attributes.bp_len = HW_BREAKPOINT_LEN_4;
    attributes.disabled = 1;
    attributes.exclude_kernel = 1;
    const long fd = ::syscall(SYS_perf_event_open, &attributes, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0) break;
    descriptors.push_back(static_cast<int>(fd));
  }
  return descriptors;
}

bool all_slots_are_free(pid_t pid) {
  for (int tries = 0; tries < 2000; ++tries) {
    const std::vector<int> descriptors = take_slots(pid);
    for (const int fd : descriptors) ::close(fd);
    if (descriptors.size() == kSlots) return true;
    ::usleep(1000);
  }
  return false;
}

bool second_watch_has_every_slot(const Puppet& puppet, const std::string& collector) {
  if (collector != "ptrace" && !all_slots_are_free(puppet.pid())) return false;
  Watch again(watch_arguments("cfg", puppet, {"--collector", collector}));
  const bool has_all = again.start().value("slots", std::size_t{0}) == kSlots;
  return again.interrupt().status == 0 && has_all;
}

}  // namespace trapline::testing
