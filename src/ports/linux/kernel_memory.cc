#include "ports/linux/kernel_memory.h"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace trapline::linux_port {
namespace {

// As much of it as there is; short at the end of the file and at an error.
std::size_t read_at(int fd, std::uint64_t offset, std::span<std::byte> destination) {
  std::size_t done = 0;
  while (done < destination.size()) {
    const ssize_t count = ::pread(fd, destination.data() + done, destination.size() - done,
                                  static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

template <typename T>
bool read_whole(int fd, std::uint64_t offset, std::span<T> objects) {
  return read_at(fd, offset, std::as_writable_bytes(objects)) == objects.size_bytes();
}

bool is_core_file(const Elf64_Ehdr& header) {
  return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
         header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_type == ET_CORE &&
         header.e_phentsize == sizeof(Elf64_Phdr);
}

std::vector<CoreSegment> read_segments(int fd) {
  Elf64_Ehdr header;
  if (!read_whole(fd, 0, std::span(&header, 1)) || !is_core_file(header)) return {};
  std::vector<Elf64_Phdr> programs(header.e_phnum);
  if (!read_whole(fd, header.e_phoff, std::span(programs))) return {};
  std::vector<CoreSegment> segments;
  for (const Elf64_Phdr& program : programs) {
    if (program.p_type == PT_LOAD)
      segments.push_back({RemoteAddress(program.p_vaddr), program.p_filesz, program.p_offset});
  }
  return segments;
}

Failure describe_open_failure(const std::string& path, int error) {
  const std::string what = path + " cannot be opened, so the kernel's memory cannot be read: ";
  switch (error) {
    case ENOENT:
      return {Error{ErrorCode::not_supported, error},
              what + "this kernel was built without CONFIG_PROC_KCORE, or /proc is restricted"};
    case EACCES:
    case EPERM:
      return {Error{ErrorCode::permission_denied, error},
              what +
                  "it takes root (CAP_SYS_RAWIO) and a kernel that is not locked down "
                  "(/sys/kernel/security/lockdown)"};
    default:
      return {Error{ErrorCode::os_failure, error}, what + std::generic_category().message(error)};
  }
}

}  // namespace

KernelMemory::KernelMemory(const std::string& path)
    : file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (!file_.is_open()) {
    obstacle_ = describe_open_failure(path, errno);
    return;
  }
  segments_ = read_segments(file_.get());
  if (segments_.empty()) {
    obstacle_ = Failure{Error{ErrorCode::not_supported},
                        path +
                            " is not a 64-bit core file with memory in it, so the kernel's "
                            "memory cannot be read"};
  }
}

const CoreSegment* KernelMemory::find(RemoteAddress address) const {
  const auto found = std::ranges::find_if(segments_, [&](const CoreSegment& segment) {
    return (address - segment.start).value < segment.length;
  });
  return found == segments_.end() ? nullptr : &*found;
}

std::size_t KernelMemory::read(RemoteAddress address, std::span<std::byte> destination) {
  std::size_t done = 0;
  while (done < destination.size()) {
    const RemoteAddress at = address + ByteCount{done};
    const CoreSegment* const segment = at < address ? nullptr : find(at);
    if (segment == nullptr) break;
    const std::uint64_t inside = (at - segment->start).value;
    const auto wanted = static_cast<std::size_t>(
        std::min<std::uint64_t>(destination.size() - done, segment->length - inside));
    const std::size_t count =
        read_at(file_.get(), segment->file_offset + inside, destination.subspan(done, wanted));
    done += count;
    if (count < wanted) break;
  }
  return done;
}

}  // namespace trapline::linux_port
