#include "bench/peers/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

namespace trapline::peers {
namespace {

constexpr int kFileMode = 0644;

std::string name_of_errno(int number) {
  return std::generic_category().message(number);
}

int milliseconds_until(Deadline deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
}

// Owns what posix_spawn(3) is to do with the three streams.
class Streams {
 public:
  Streams() { ::posix_spawn_file_actions_init(&actions_); }
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;
  ~Streams() { ::posix_spawn_file_actions_destroy(&actions_); }

  void open(int stream, const char* path, int flags) {
    ::posix_spawn_file_actions_addopen(&actions_, stream, path, flags, kFileMode);
  }
  void use(int stream, int descriptor) {
    ::posix_spawn_file_actions_adddup2(&actions_, descriptor, stream);
  }
  [[nodiscard]] const posix_spawn_file_actions_t* actions() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

}  // namespace

Nanoseconds monotonic_now() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return {static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(now).count())};
}

std::optional<std::string> find_program(const std::string& name) {
  const char* const path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): one thread
  std::string_view folders = path == nullptr ? "" : path;
  while (!folders.empty()) {
    const std::size_t end = std::min(folders.find(':'), folders.size());
    std::string file = fmt::format("{}/{}", folders.substr(0, end), name);
    if (::access(file.c_str(), X_OK) == 0) return file;
    folders.remove_prefix(std::min(end + 1, folders.size()));
  }
  return std::nullopt;
}

Result<Process> Process::start(const std::vector<std::string>& command,
                               const std::optional<std::string>& out_file,
                               const std::string& error_file) {
  constexpr int kTruncate = O_WRONLY | O_CREAT | O_TRUNC;
  std::array<int, 2> pipe = {-1, -1};
  if (!out_file && ::pipe2(pipe.data(), O_CLOEXEC) != 0)
    return fail(ErrorCode::os_failure, "no pipe: " + name_of_errno(errno), errno);
  Streams streams;
  streams.open(STDIN_FILENO, "/dev/null", O_RDONLY);
  streams.open(STDERR_FILENO, error_file.c_str(), kTruncate);
  if (out_file) {
    streams.open(STDOUT_FILENO, out_file->c_str(), kTruncate);
  } else {
    streams.use(STDOUT_FILENO, pipe[1]);
  }
  std::vector<char*> arguments;
  // posix_spawn(3) does not write to them.
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = -1;
  const int error =
      ::posix_spawnp(&pid, arguments[0], streams.actions(), nullptr, arguments.data(), environ);
  if (pipe[1] >= 0) ::close(pipe[1]);
  if (error == 0) return Process(pid, pipe[0]);
  if (pipe[0] >= 0) ::close(pipe[0]);
  return fail(ErrorCode::os_failure,
              fmt::format("{} cannot be started: {}", command.front(), name_of_errno(error)),
              error);
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      out_(std::exchange(other.out_, -1)),
      unread_(std::move(other.unread_)) {}

Process::~Process() {
  if (out_ >= 0) ::close(out_);
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  reap();
}

int Process::reap() {
  constexpr int kSignalBase = 128;
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFSIGNALED(status) ? kSignalBase + WTERMSIG(status) : WEXITSTATUS(status);
}

bool Process::read_some(Deadline deadline) {
  constexpr std::size_t kPiece = 65536;
  if (out_ < 0) return false;
  pollfd entry{.fd = out_, .events = POLLIN, .revents = 0};
  if (::poll(&entry, 1, milliseconds_until(deadline)) <= 0) return false;
  const std::size_t before = unread_.size();
  unread_.resize(before + kPiece);
  const ssize_t got = ::read(out_, unread_.data() + before, kPiece);
  unread_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  if (got <= 0) ::close(std::exchange(out_, -1));
  return got > 0;
}

std::optional<std::string> Process::read_line(Deadline deadline) {
  std::size_t end = 0;
  while ((end = unread_.find('\n')) == std::string::npos) {
    if (!read_some(deadline)) return std::nullopt;
  }
  std::string line = unread_.substr(0, end);
  unread_.erase(0, end + 1);
  return line;
}

void Process::read_all(Deadline deadline, const std::function<void(std::string_view)>& take) {
  do {
    take(unread_);
    unread_.clear();
  } while (read_some(deadline));
}

Result<int> Process::wait(Deadline deadline) {
  // glibc has had pidfd_open since 2.36, the kernel since 5.3.
  const int descriptor = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0U));
  if (descriptor < 0)
    return fail(ErrorCode::os_failure, "no descriptor of a process: " + name_of_errno(errno),
                errno);
  pollfd entry{.fd = descriptor, .events = POLLIN, .revents = 0};
  int ended = 0;
  do {
    ended = ::poll(&entry, 1, milliseconds_until(deadline));
  } while (ended < 0 && errno == EINTR);
  ::close(descriptor);
  if (ended > 0) return reap();
  ::kill(pid_, SIGTERM);  // perf and the debuggers end their target with them
  ::usleep(100'000);
  ::kill(pid_, SIGKILL);
  reap();
  return fail(ErrorCode::timed_out, "it had not ended when its time was up");
}

Result<Nanoseconds> time_of(const std::vector<std::string>& command, const std::string& out_file,
                            const std::string& error_file, std::chrono::seconds limit) {
  const Nanoseconds began = monotonic_now();
  auto process = Process::start(command, out_file, error_file);
  if (!process) return std::unexpected(process.error());
  const auto status = process->wait(std::chrono::steady_clock::now() + limit);
  const Nanoseconds ended = monotonic_now();
  if (!status) return std::unexpected(status.error());
  if (*status != 0) {
    return fail(ErrorCode::os_failure, fmt::format("it ended with status {}: {}", *status,
                                                   last_line(text_of(error_file))));
  }
  return Nanoseconds{ended.value - began.value};
}

std::string text_of(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string last_line(std::string_view text) {
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  if (last == std::string_view::npos) return "";
  text = text.substr(0, last + 1);
  return std::string(text.substr(text.find_last_of('\n') + 1));
}

}  // namespace trapline::peers
