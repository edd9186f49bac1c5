// The puppet, watched by the built command: what every end-to-end test starts from.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tests/linux/child_process.h"

namespace trapline::testing {

// The line number of the comment `// MARK` in a source file of tests/linux/targets.
[[nodiscard]] unsigned line_of(const std::string& file, const std::string& mark);

// A running puppet that has said "ready".
class Puppet {
 public:
  explicit Puppet(const std::string& program = PUPPET_PROGRAM);

  [[nodiscard]] pid_t pid() const { return process_.pid(); }
  // Sends one line and waits for its "ok"; returns the answer.
  std::string obey(const std::string& line);
  // Sends one line that has no answer (exit, crash, exec).
  void send(const std::string& line) { process_.write_line(line); }
  [[nodiscard]] ChildProcess& process() { return process_; }

 private:
  ChildProcess process_;
};

// `trapline watch ARGUMENTS -f json` into a file of its own, installed: its start line has been
// read. (Not into a pipe: while a test waits for the puppet nobody would read it.)
class Watch {
 public:
  explicit Watch(const std::vector<std::string>& arguments);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch();

  [[nodiscard]] const nlohmann::json& start() const { return start_; }
  [[nodiscard]] ChildProcess& process() { return process_; }

  struct Result {
    int status = -1;
    std::string out;  // of a command that was started
    std::string err;
    std::vector<nlohmann::json> hits;
    std::vector<nlohmann::json> lost;
    std::vector<nlohmann::json> cpus;  // that came or went
    std::vector<nlohmann::json> summary;
    nlohmann::json end;
  };
  // Waits for its end and parses all it printed; a line that is not JSON is a test failure.
  [[nodiscard]] Result finish();
  // Ctrl-C, then finish().
  [[nodiscard]] Result interrupt();

 private:
  void wait_for_start();

  std::string path_;
  ChildProcess process_;
  nlohmann::json start_;
};

// Looks again and again; false if it does not come true in time.
[[nodiscard]] bool wait_until(const std::function<bool()>& is_so,
                              std::chrono::seconds at_most = std::chrono::seconds(10));

// The command line of a watch on `what` in a puppet.
[[nodiscard]] std::vector<std::string> watch_arguments(const std::string& what,
                                                       const Puppet& puppet,
                                                       const std::vector<std::string>& more = {});

// Takes debug registers of `pid` through perf until there are no more, or four: the descriptors.
// The caller closes them.
[[nodiscard]] std::vector<int> take_slots(pid_t pid);

// True if all four debug registers of `pid` can soon be had: nothing is left installed. Not at
// once: whoever looks for the holders of registers, as the doctor does, has copies of descriptors
// meanwhile.
[[nodiscard]] bool all_slots_are_free(pid_t pid);

// The same, asked of a second watch that needs all four. After ptrace nobody else can ask: the
// kernel keeps what ptrace used, disabled, for ptrace.
[[nodiscard]] bool second_watch_has_every_slot(const Puppet& puppet, const std::string& collector);

}  // namespace trapline::testing
