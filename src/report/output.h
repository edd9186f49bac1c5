// A buffered file or descriptor that a report is written to. One thread; writing may block.
//
// The process must ignore SIGPIPE (and SIGXFSZ), or a closed pipe kills it before an error can be
// returned.
#pragma once

#include <fmt/format.h>

#include <expected>
#include <optional>
#include <string>

#include "base/failure.h"

namespace trapline::report {

class Output {
 public:
  // Makes (or empties) a file. Never waits for the reader of a FIFO. Errors: output_failed with a
  // sentence that names it; os_errno ENXIO for a FIFO that nobody reads.
  [[nodiscard]] static Result<Output> create(const std::string& path);
  // Somebody else's descriptor, blocking or not; `name` is for messages.
  [[nodiscard]] static Output borrow(int descriptor, std::string name);

  Output(Output&& other) noexcept;
  Output& operator=(Output&&) = delete;
  ~Output();

  // From now on a pipe or socket whose reader has stopped reading is waited for only until
  // `descriptor` (a signalfd, an eventfd; borrowed, never read) becomes readable, and then one
  // second more. Without this, Ctrl-C would have to wait for the reader.
  void stop_waiting_on(int descriptor);
  // From now on such a reader is waited for one second at most: the watch is over.
  void hurry();

  // Append here; then call settle().
  [[nodiscard]] fmt::memory_buffer& buffer() { return buffer_; }
  // Writes out once enough has gathered.
  [[nodiscard]] Result<void> settle();
  // Writes out everything. Errors: output_failed with os_errno (EPIPE, ENOSPC, EIO, ETIMEDOUT if
  // the reader was given up ...). After one, nothing more is written, so that no line is torn in
  // the middle of a file: what is appended is dropped, and every call returns the same error.
  [[nodiscard]] Result<void> flush();

 private:
  Output(int descriptor, bool owned, std::string name);

  // Both: an errno on failure.
  [[nodiscard]] std::expected<void, int> write_all();
  [[nodiscard]] std::expected<void, int> wait_until_writable();
  [[nodiscard]] bool reader_can_stall() const;

  int descriptor_;
  bool owned_;
  std::string name_;
  std::optional<int> stop_descriptor_;
  bool can_stall_ = false;  // a reader decides how long a write takes: poll before it
  bool in_a_hurry_ = false;
  std::optional<Failure> failure_;
  fmt::memory_buffer buffer_;
};

}  // namespace trapline::report
