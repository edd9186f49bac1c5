#include "report/output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <string_view>
#include <system_error>
#include <utility>

namespace trapline::report {
namespace {

// One write for some hundred hits; small enough that a file is never far behind.
constexpr std::size_t kSettleBytes = 256UL * 1024;
constexpr int kNewFileMode = 0644;
constexpr int kPatienceMilliseconds = 1000;

std::string reason_of(int error) {
  if (error == ETIMEDOUT) return "its reader has stopped reading";
  std::string reason = std::generic_category().message(error);
  // The C library begins its messages with a capital; this is the middle of a sentence.
  if (!reason.empty())
    reason.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(reason.front())));
  return reason;
}

Failure write_failure(const std::string& name, int error) {
  return {Error{ErrorCode::output_failed, error},
          fmt::format("cannot write to {}: {}", name, reason_of(error))};
}

Failure open_failure(const std::string& path, int error) {
  struct stat status{};
  if (error == ENXIO && ::stat(path.c_str(), &status) == 0 && S_ISFIFO(status.st_mode)) {
    return {Error{ErrorCode::output_failed, error},
            fmt::format("nobody reads {}: start the reader first", path)};
  }
  return write_failure(path, error);
}

}  // namespace

Output::Output(int descriptor, bool owned, std::string name)
    : descriptor_(descriptor), owned_(owned), name_(std::move(name)) {}

Output::Output(Output&& other) noexcept
    : descriptor_(other.descriptor_),
      owned_(std::exchange(other.owned_, false)),
      name_(std::move(other.name_)),
      stop_descriptor_(other.stop_descriptor_),
      can_stall_(other.can_stall_),
      in_a_hurry_(other.in_a_hurry_),
      failure_(std::move(other.failure_)),
      buffer_(std::move(other.buffer_)) {}

Output::~Output() {
  if (owned_) ::close(descriptor_);
}

Result<Output> Output::create(const std::string& path) {
  // Without O_NONBLOCK, a FIFO that nobody reads would hold the process in here.
  const int descriptor =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, kNewFileMode);
  if (descriptor < 0) return std::unexpected(open_failure(path, errno));
  Output output(descriptor, true, path);
  // Further on, the kernel waits for a slow reader or terminal.
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (flags < 0 || ::fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK) != 0)
    return std::unexpected(write_failure(path, errno));
  return output;
}

Output Output::borrow(int descriptor, std::string name) {
  return Output(descriptor, false, std::move(name));
}

bool Output::reader_can_stall() const {
  struct stat status{};
  return ::fstat(descriptor_, &status) == 0 &&
         (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

void Output::stop_waiting_on(int descriptor) {
  stop_descriptor_ = descriptor;
  can_stall_ = reader_can_stall();
}

void Output::hurry() {
  in_a_hurry_ = true;
  can_stall_ = reader_can_stall();
}

Result<void> Output::settle() {
  if (buffer_.size() < kSettleBytes) return {};
  return flush();
}

Result<void> Output::flush() {
  if (!failure_) {
    if (const auto written = write_all(); !written)
      failure_ = write_failure(name_, written.error());
  }
  buffer_.clear();
  if (failure_) return std::unexpected(*failure_);
  return {};
}

std::expected<void, int> Output::write_all() {
  std::string_view rest(buffer_.data(), buffer_.size());
  while (!rest.empty()) {
    std::size_t portion = rest.size();
    if (can_stall_) {
      if (auto ready = wait_until_writable(); !ready) return ready;
      // So much a pipe that poll() calls writable takes without blocking (pipe(7)).
      portion = std::min<std::size_t>(portion, PIPE_BUF);
    }
    const ssize_t written = ::write(descriptor_, rest.data(), portion);
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return std::unexpected(errno);
    // Standard output can be shared with a program that made it non-blocking.
    if (auto ready = wait_until_writable(); !ready) return ready;
  }
  return {};
}

std::expected<void, int> Output::wait_until_writable() {
  pollfd entries[] = {{.fd = descriptor_, .events = POLLOUT, .revents = 0},
                      // poll() passes over negative descriptors.
                      {.fd = stop_descriptor_.value_or(-1), .events = POLLIN, .revents = 0}};
  // Errors of the descriptor count as writable: write() tells which.
  while (entries[0].revents == 0) {
    const int ready = ::poll(entries, in_a_hurry_ ? 1 : std::size(entries),
                             in_a_hurry_ ? kPatienceMilliseconds : -1);
    if (ready < 0 && errno != EINTR) return std::unexpected(errno);
    if (ready == 0) return std::unexpected(ETIMEDOUT);
    in_a_hurry_ = in_a_hurry_ || entries[1].revents != 0;
  }
  return {};
}

}  // namespace trapline::report
