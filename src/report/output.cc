#include "report/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <system_error>
#include <utility>

namespace trapline::report {
namespace {

// One write for some hundred hits; small enough that a file is never far behind.
constexpr std::size_t kSettleBytes = 256 * 1024;
constexpr int kNewFileMode = 0644;

Failure write_failure(const std::string& name, int error) {
  return {Error{ErrorCode::output_failed, error},
          fmt::format("cannot write to {}: {}", name, std::generic_category().message(error))};
}

}  // namespace

Output::Output(int descriptor, bool owned, std::string name)
    : descriptor_(descriptor), owned_(owned), name_(std::move(name)) {}

Output::Output(Output&& other) noexcept
    : descriptor_(other.descriptor_),
      owned_(std::exchange(other.owned_, false)),
      name_(std::move(other.name_)),
      buffer_(std::move(other.buffer_)) {}

Output::~Output() {
  if (owned_) ::close(descriptor_);
}

Result<Output> Output::create(const std::string& path) {
  const int descriptor =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kNewFileMode);
  if (descriptor < 0) return std::unexpected(write_failure(path, errno));
  return Output(descriptor, true, path);
}

Output Output::borrow(int descriptor, std::string name) {
  return Output(descriptor, false, std::move(name));
}

Result<void> Output::settle() {
  if (buffer_.size() < kSettleBytes) return {};
  return flush();
}

Result<void> Output::flush() {
  std::size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t written = ::write(descriptor_, buffer_.data() + done, buffer_.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int error = errno;
      buffer_.clear();
      return std::unexpected(write_failure(name_, error));
    }
    done += static_cast<std::size_t>(written);
  }
  buffer_.clear();
  return {};
}

}  // namespace trapline::report
