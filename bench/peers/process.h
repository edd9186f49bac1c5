// Programs that a measurement starts: standard input is empty, standard error goes to a file, and
// all of it within a time limit. Not thread-safe; blocks.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/failure.h"
#include "trapline/base/units.h"

namespace trapline::peers {

using Deadline = std::chrono::steady_clock::time_point;

[[nodiscard]] Nanoseconds monotonic_now();
// The file that execvp(3) would take; nullopt: PATH has none.
[[nodiscard]] std::optional<std::string> find_program(const std::string& name);

class Process {
 public:
  // Standard output goes to a file, or is read by read_line() and read_all() if there is none.
  // Errors: os_failure.
  [[nodiscard]] static Result<Process> start(const std::vector<std::string>& command,
                                             const std::optional<std::string>& out_file,
                                             const std::string& error_file);
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  // Kills it if it still runs.
  ~Process();

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Without its newline; nullopt at the end, and when the time is up.
  [[nodiscard]] std::optional<std::string> read_line(Deadline deadline);
  // What read_line() left; ends when the time is up.
  void read_all(Deadline deadline, const std::function<void(std::string_view)>& take);
  // Its exit status, or 128 and the signal that ended it. Errors: timed_out; it is killed then.
  [[nodiscard]] Result<int> wait(Deadline deadline);

 private:
  Process(pid_t pid, int out) : pid_(pid), out_(out) {}
  bool read_some(Deadline deadline);
  int reap();

  pid_t pid_;
  int out_;  // -1: standard output is a file, or at its end
  std::string unread_;
};

// To the end. Errors: as above; os_failure if it ended with another status than 0, with the last
// line of standard error.
[[nodiscard]] Result<Nanoseconds> time_of(const std::vector<std::string>& command,
                                          const std::string& out_file,
                                          const std::string& error_file,
                                          std::chrono::seconds limit);

// "" if it cannot be read.
[[nodiscard]] std::string text_of(const std::string& file);
// The last line that is not blank; "" if there is none.
[[nodiscard]] std::string last_line(std::string_view text);

}  // namespace trapline::peers
