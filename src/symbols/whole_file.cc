#include "symbols/whole_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace trapline::symbols {

int read_whole_file(const std::string& path, std::string& text) {
  text.clear();
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  // Most have some kilobytes, /proc/kallsyms has ten megabytes.
  constexpr std::size_t kFirstChunk = std::size_t{1} << 14;
  constexpr std::size_t kLargestChunk = std::size_t{1} << 20;
  std::size_t filled = 0;
  int error = 0;
  while (true) {
    text.resize(filled + std::clamp(filled, kFirstChunk, kLargestChunk));
    const ssize_t count = ::read(fd, text.data() + filled, text.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) error = errno;
    if (count <= 0) break;
    filled += static_cast<std::size_t>(count);
  }
  ::close(fd);
  text.resize(filled);
  return error;
}

}  // namespace trapline::symbols
