// Running programs from tests: pipes to their three streams, time limits, and no strays left
// behind.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace trapline::testing {

inline constexpr std::chrono::seconds kPatience{30};

struct ChildOptions {
  bool close_stdout = false;  // give the child a stdout whose reader is gone
  std::string stdout_path;    // redirect stdout to this file instead of a pipe
  std::optional<uid_t> user;  // run as this user
  bool forbid_perf = false;   // perf_event_open fails with EACCES, as under a container's seccomp
  std::optional<rlim_t> file_size_limit;  // bytes a file may grow to: a disk that fills up
};

class ChildProcess {
 public:
  using Options = ChildOptions;
  explicit ChildProcess(const std::vector<std::string>& arguments, const Options& options = {});
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  // Kills it if it still runs.
  ~ChildProcess();

  [[nodiscard]] pid_t pid() const { return pid_; }
  void write_line(const std::string& line);
  void close_stdin();
  // Its reader goes away: what it writes from now on meets a broken pipe.
  void close_stdout();
  // One line without its newline; nullopt at end of file or after kPatience.
  [[nodiscard]] std::optional<std::string> read_line();
  // Waits until standard error holds `text`; false at end of file or after kPatience.
  [[nodiscard]] bool wait_for_stderr(const std::string& text);
  void signal(int number) const;
  [[nodiscard]] bool is_running() const;
  // Waits for its end without reading what it writes; false after `limit`.
  [[nodiscard]] bool ends_unread_within(std::chrono::milliseconds limit) const;
  // Of all its threads so far.
  [[nodiscard]] std::chrono::nanoseconds cpu_time() const;

  struct Exit {
    bool timed_out = false;
    int status = -1;  // exit status, or 128 + signal
    std::string out;  // what was not read by read_line()
    std::string err;
  };
  // Reads everything and waits; kills after kPatience.
  [[nodiscard]] Exit wait();

 private:
  bool pump(std::chrono::steady_clock::time_point deadline);

  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
  int err_ = -1;
  bool reaped_ = false;
  std::string out_buffer_;
  std::string err_buffer_;
};

// Runs to the end.
[[nodiscard]] ChildProcess::Exit run(const std::vector<std::string>& arguments,
                                     const ChildProcess::Options& options = {});

}  // namespace trapline::testing
