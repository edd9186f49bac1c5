// A buffered file or descriptor that a report is written to.
#pragma once

#include <fmt/format.h>

#include <string>

#include "base/failure.h"

namespace trapline::report {

class Output {
 public:
  // Makes (or empties) a file. Errors: output_failed with a sentence that names it.
  [[nodiscard]] static Result<Output> create(const std::string& path);
  // Somebody else's descriptor; `name` is for messages.
  [[nodiscard]] static Output borrow(int descriptor, std::string name);

  Output(Output&& other) noexcept;
  Output& operator=(Output&&) = delete;
  ~Output();

  // Append here; then call settle().
  [[nodiscard]] fmt::memory_buffer& buffer() { return buffer_; }
  // Writes out once enough has gathered.
  [[nodiscard]] Result<void> settle();
  // Writes out everything. Errors: output_failed with os_errno (EPIPE, ENOSPC, EIO ...); what was
  // not written is dropped.
  [[nodiscard]] Result<void> flush();

 private:
  Output(int descriptor, bool owned, std::string name);

  int descriptor_;
  bool owned_;
  std::string name_;
  fmt::memory_buffer buffer_;
};

}  // namespace trapline::report
