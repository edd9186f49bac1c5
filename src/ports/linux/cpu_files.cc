#include "ports/linux/cpu_files.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "ports/linux/file_descriptor.h"
#include "ports/linux/proc_fs.h"

namespace trapline::linux_port {
namespace {

// lxcfs lays a FUSE file system over the folder, which numbers its files as they are looked up.
bool numbers_are_the_kernels(const std::string& root) {
  struct statfs system{};
  return ::statfs(root.c_str(), &system) == 0 && system.f_type != FUSE_SUPER_MAGIC;
}

Error error_of_switch(int error) {
  switch (error) {
    case ENOENT:
      return {ErrorCode::not_supported, error};
    case EACCES:
    case EPERM:
    case EROFS:
      return {ErrorCode::permission_denied, error};
    case EMFILE:
    case ENFILE:
      return {ErrorCode::limit_reached, error};
    default:
      return {ErrorCode::os_failure, error};
  }
}

std::expected<void, Error> write_digit(const std::string& path, char digit) {
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.is_open()) return std::unexpected(error_of_switch(errno));
  while (::write(file.get(), &digit, 1) != 1) {
    if (errno != EINTR) return std::unexpected(error_of_switch(errno));
  }
  return {};
}

}  // namespace

CpuFiles::CpuFiles(std::string root)
    : root_(std::move(root)), has_generations_(numbers_are_the_kernels(root_)) {}

std::expected<CpuSet, Error> CpuFiles::possible() const {
  return read_set("possible");
}

std::expected<CpuSet, Error> CpuFiles::present() const {
  return read_set("present");
}

std::expected<CpuSet, Error> CpuFiles::online() const {
  return read_set("online");
}

std::expected<void, Error> CpuFiles::set_online(CpuId cpu, bool wanted) const {
  const auto written = write_digit(path_of(cpu, "online"), wanted ? '1' : '0');
  if (written || written.error().code != ErrorCode::not_supported || !wanted) return written;
  // Without a switch it cannot be down.
  const auto running = online();
  if (running && running->contains(cpu)) return {};
  return written;
}

std::optional<CpuGeneration> CpuFiles::generation(CpuId cpu) const {
  if (!has_generations_) return std::nullopt;
  // Unlike stat(2), 64 bits of the number in 32-bit programs too.
  struct statx found{};
  if (::statx(AT_FDCWD, path_of(cpu, "topology").c_str(), 0, STATX_INO, &found) != 0)
    return std::nullopt;
  return CpuGeneration{found.stx_ino};
}

std::string CpuFiles::path_of(CpuId cpu, const char* name) const {
  return root_ + "/cpu" + std::to_string(cpu.value) + "/" + name;
}

std::expected<CpuSet, Error> CpuFiles::read_set(const char* name) const {
  const auto text = read_file(root_ + "/" + name);
  if (!text) {
    Error error = text.error();
    if (error.code == ErrorCode::no_such_process) error.code = ErrorCode::not_supported;
    return std::unexpected(error);
  }
  return parse_cpu_list(*text);
}

}  // namespace trapline::linux_port
