#include "ports/linux/remote_memory.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

namespace trapline::linux_port {
namespace {

// One system call's worth of pages: 256 KiB where a page is 4 KiB.
constexpr std::size_t kPagesPerCall = 64;

std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

// The remote side as one element per page: process_vm_readv(2) promises partial transfers at the
// granularity of elements only.
struct PageList {
  std::array<iovec, kPagesPerCall> elements{};
  std::size_t count = 0;
  std::size_t bytes = 0;
};

PageList split_by_page(std::uint64_t address, std::size_t length) {
  PageList list;
  while (list.bytes < length && list.count < kPagesPerCall) {
    const std::uint64_t at = address + list.bytes;
    const auto left_in_page = static_cast<std::size_t>(page_size() - at % page_size());
    const std::size_t size = std::min(left_in_page, length - list.bytes);
    // A foreign address travels as a pointer in this system call; it is never dereferenced here.
    list.elements[list.count++] = {
        reinterpret_cast<void*>(at),  // NOLINT(performance-no-int-to-ptr)
        size};
    list.bytes += size;
  }
  return list;
}

}  // namespace

std::size_t RemoteMemory::read(RemoteAddress address, std::span<std::byte> destination) {
  std::size_t done = 0;
  while (done < destination.size()) {
    if (mem_.is_open()) return done + read_mem_file(address, destination, done);
    const std::uint64_t at = address.value() + done;
    if (at < address.value()) break;
    const PageList remote = split_by_page(at, destination.size() - done);
    const iovec local{destination.data() + done, remote.bytes};
    const ssize_t count = ::process_vm_readv(pid_.value, &local, 1, remote.elements.data(),
                                             static_cast<unsigned long>(remote.count), 0);
    if (count < 0) {
      // EPERM comes from seccomp filters too, which often let /proc/PID/mem pass.
      if ((errno == EPERM || errno == ENOSYS) && open_mem_file()) continue;
      break;
    }
    done += static_cast<std::size_t>(count);
    if (static_cast<std::size_t>(count) < remote.bytes) break;
  }
  return done;
}

bool RemoteMemory::open_mem_file() {
  const std::string path = "/proc/" + std::to_string(pid_.value) + "/mem";
  mem_ = FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return mem_.is_open();
}

std::size_t RemoteMemory::read_mem_file(RemoteAddress address, std::span<std::byte> destination,
                                        std::size_t from) const {
  std::size_t done = 0;
  while (from + done < destination.size()) {
    const std::span<std::byte> rest = destination.subspan(from + done);
    const ssize_t count = ::pread(mem_.get(), rest.data(), rest.size(),
                                  static_cast<off_t>(address.value() + from + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

}  // namespace trapline::linux_port
