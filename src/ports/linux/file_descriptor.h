// Owns a file descriptor.
#pragma once

#include <unistd.h>

#include <utility>

namespace trapline::linux_port {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, kNone)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, kNone);
    }
    return *this;
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, kNone); }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = kNone;
  }

 private:
  static constexpr int kNone = -1;
  int fd_ = kNone;
};

}  // namespace trapline::linux_port
