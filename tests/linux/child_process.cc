#include "tests/linux/child_process.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace trapline::testing {
namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  int read_end = -1;
  int write_end = -1;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) std::abort();
  return {ends[0], ends[1]};
}

void close_if_open(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

// Appends what can be read; closes the descriptor at end of file.
void read_some(int& fd, std::string& buffer) {
  std::array<char, 65536> chunk{};
  const ssize_t got = ::read(fd, chunk.data(), chunk.size());
  if (got > 0) {
    buffer.append(chunk.data(), static_cast<std::size_t>(got));
  } else if (got == 0 || errno != EINTR) {
    close_if_open(fd);
  }
}

// A classic BPF program over seccomp_data (seccomp(2)); safe between fork and exec.
bool forbid_perf_event_open() {
  std::array<sock_filter, 4> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_perf_event_open, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter{program.size(), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// What the options ask of the process itself, in the child. The filter comes last: after
// no_new_privs it needs no privilege, and the calls before it do.
bool apply(const ChildOptions& options) {
  if (options.file_size_limit) {
    const rlimit limit{*options.file_size_limit, *options.file_size_limit};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return false;
  }
  if (options.user && (::setgid(*options.user) != 0 || ::setuid(*options.user) != 0)) return false;
  return !options.forbid_perf || forbid_perf_event_open();
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments, const Options& options) {
  Pipe in = make_pipe();
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  if (options.close_stdout) close_if_open(out.read_end);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(in.read_end, STDIN_FILENO);
    if (options.stdout_path.empty()) {
      ::dup2(out.write_end, STDOUT_FILENO);
    } else {
      ::dup2(::open(options.stdout_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644),
             STDOUT_FILENO);
    }
    ::dup2(err.write_end, STDERR_FILENO);
    if (!apply(options)) ::_exit(126);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(in.read_end);
  ::close(out.write_end);
  ::close(err.write_end);
  in_ = in.write_end;
  out_ = out.read_end;
  err_ = err.read_end;
}

ChildProcess::~ChildProcess() {
  if (!reaped_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  close_if_open(in_);
  close_if_open(out_);
  close_if_open(err_);
}

void ChildProcess::write_line(const std::string& line) {
  const std::string text = line + "\n";
  if (::write(in_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) std::abort();
}

void ChildProcess::close_stdin() {
  close_if_open(in_);
}

void ChildProcess::close_stdout() {
  close_if_open(out_);
}

void ChildProcess::signal(int number) const {
  ::kill(pid_, number);
}

bool ChildProcess::is_running() const {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

bool ChildProcess::ends_unread_within(std::chrono::milliseconds limit) const {
  const auto deadline = Clock::now() + limit;
  while (is_running()) {
    if (Clock::now() > deadline) return false;
    ::usleep(1000);
  }
  return true;
}

std::chrono::nanoseconds ChildProcess::cpu_time() const {
  clockid_t clock{};
  timespec used{};
  if (::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &used) != 0) std::abort();
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

bool ChildProcess::pump(Clock::time_point deadline) {
  if (out_ < 0 && err_ < 0) return false;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  if (left.count() <= 0) return false;
  std::array<pollfd, 2> entries{{{out_, POLLIN, 0}, {err_, POLLIN, 0}}};
  if (::poll(entries.data(), entries.size(), static_cast<int>(left.count())) <= 0) return false;
  if (entries[0].revents != 0) read_some(out_, out_buffer_);
  if (entries[1].revents != 0) read_some(err_, err_buffer_);
  return true;
}

std::optional<std::string> ChildProcess::read_line() {
  const auto deadline = Clock::now() + kPatience;
  while (true) {
    const std::size_t newline = out_buffer_.find('\n');
    if (newline != std::string::npos) {
      std::string line = out_buffer_.substr(0, newline);
      out_buffer_.erase(0, newline + 1);
      return line;
    }
    if (!pump(deadline)) return std::nullopt;
  }
}

bool ChildProcess::wait_for_stderr(const std::string& text) {
  const auto deadline = Clock::now() + kPatience;
  while (err_buffer_.find(text) == std::string::npos) {
    if (!pump(deadline)) return false;
  }
  return true;
}

ChildProcess::Exit ChildProcess::wait() {
  const auto deadline = Clock::now() + kPatience;
  close_if_open(in_);
  while (pump(deadline)) {
  }
  Exit exit;
  int status = 0;
  while (::waitpid(pid_, &status, WNOHANG) == 0) {
    if (Clock::now() > deadline) {
      exit.timed_out = true;
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, &status, 0);
      break;
    }
    ::usleep(1000);
  }
  reaped_ = true;
  exit.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  exit.out = std::move(out_buffer_);
  exit.err = std::move(err_buffer_);
  return exit;
}

ChildProcess::Exit run(const std::vector<std::string>& arguments,
                       const ChildProcess::Options& options) {
  ChildProcess child(arguments, options);
  return child.wait();
}

}  // namespace trapline::testing
