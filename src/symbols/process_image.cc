#include "symbols/process_image.h"

#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gelf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>

#include "symbols/module_path.h"

namespace trapline::symbols {
namespace {

// The process's own view of files, held open: a short command has ended before its hits are looked
// at.
struct FileView {
  int root = -1;             // its root directory: a container's files are not ours
  int program = -1;          // its executable, even if the file was replaced since (a rebuild)
  std::string program_path;  // as the kernel names it
  ProcessId pid;
};

// A mapped file that has no name any more: the kernel still lends it (proc(5), map_files).
int open_deleted(const FileView& view, std::string_view name) {
  if (name == view.program_path)
    return ::open(fmt::format("/proc/self/fd/{}", view.program).c_str(), O_RDONLY | O_CLOEXEC);
  std::error_code error;
  const std::filesystem::directory_iterator files(fmt::format("/proc/{}/map_files", view.pid.value),
                                                  error);
  for (const auto& file : files) {
    if (std::filesystem::read_symlink(file, error) == name)
      return ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
  }
  return -1;
}

// Opens a module's file as the process sees it. Called by elfutils, which hands on one word of ours
// per module.
int open_module(Dwfl_Module* module, void** user_data, const char* name, Dwarf_Addr base,
                char** file_name, Elf** elf) {
  const auto* const view = static_cast<const FileView*>(*user_data);
  const std::string_view path = name == nullptr ? std::string_view() : std::string_view(name);
  if (view != nullptr && name != nullptr && path.starts_with('/')) {
    const int fd = path.ends_with(kDeleted)
                       ? open_deleted(*view, path)
                       : ::open(fmt::format("/proc/self/fd/{}{}", view->root, path).c_str(),
                                O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
      *file_name = ::strdup(name);
      return fd;
    }
  }
  return dwfl_linux_proc_find_elf(module, user_data, name, base, file_name, elf);
}

constexpr Dwfl_Callbacks kCallbacks{.find_elf = open_module,
                                    .find_debuginfo = dwfl_standard_find_debuginfo,
                                    .section_address = nullptr,
                                    .debuginfo_path = nullptr};

Failure describe_failure(ProcessId pid, int error) {
  switch (error) {
    case ENOENT:
    case ESRCH:
      return {Error{ErrorCode::no_such_process, error},
              fmt::format("process {} has ended", pid.value)};
    case EACCES:
    case EPERM:
      return {Error{ErrorCode::permission_denied, error},
              fmt::format("process {} belongs to another user or is protected: its memory map "
                          "cannot be read. Run as "
                          "root or with CAP_SYS_PTRACE",
                          pid.value)};
    default:
      return {Error{ErrorCode::os_failure, error},
              fmt::format("the memory map of process {} cannot be read", pid.value)};
  }
}

ModuleInfo info_of(Dwfl_Module* module) {
  Dwarf_Addr start = 0;
  Dwarf_Addr end = 0;
  const char* const name =
      dwfl_module_info(module, nullptr, &start, &end, nullptr, nullptr, nullptr, nullptr);
  return {name, RemoteAddress(start), RemoteAddress(end)};
}

}  // namespace

struct ProcessImage::Impl {
  ProcessId pid;
  Dwfl* dwfl = nullptr;
  FileView files;

  void open_files() {
    files.root =
        ::open(fmt::format("/proc/{}/root", pid.value).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    files.pid = pid;
    std::error_code error;
    files.program_path =
        std::filesystem::read_symlink(fmt::format("/proc/{}/exe", pid.value), error).string();
    files.program = ::open(fmt::format("/proc/{}/exe", pid.value).c_str(), O_RDONLY | O_CLOEXEC);
  }

  Result<void> report() {
    dwfl_report_begin(dwfl);
    // A positive result is an errno, a negative one an elfutils error that leaves its cause in
    // errno.
    const int error = dwfl_linux_proc_report(dwfl, pid.value);
    const int cause = error > 0 ? error : errno;
    dwfl_report_end(dwfl, nullptr, nullptr);
    if (error != 0) return std::unexpected(describe_failure(pid, cause));
    mark_modules();
    return {};
  }

  void mark_modules() {
    dwfl_getmodules(
        dwfl,
        [](Dwfl_Module*, void** user_data, const char*, Dwarf_Addr, void* view) -> int {
          *user_data = view;
          return DWARF_CB_OK;
        },
        &files, 0);
  }

  ~Impl() {
    if (dwfl != nullptr) dwfl_end(dwfl);
    for (const int fd : {files.root, files.program}) {
      if (fd >= 0) ::close(fd);
    }
  }
};

Result<std::unique_ptr<ProcessImage>> ProcessImage::open(ProcessId pid) {
  auto impl = std::make_unique<Impl>();
  impl->pid = pid;
  impl->open_files();
  impl->dwfl = dwfl_begin(&kCallbacks);
  if (impl->dwfl == nullptr) return fail(ErrorCode::os_failure, "the symbol library cannot start");
  if (auto reported = impl->report(); !reported)
    return std::unexpected(std::move(reported.error()));
  return std::unique_ptr<ProcessImage>(new ProcessImage(std::move(impl)));
}

ProcessImage::ProcessImage(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ProcessImage::~ProcessImage() = default;

Result<void> ProcessImage::refresh() {
  return impl_->report();
}

ProcessId ProcessImage::pid() const {
  return impl_->pid;
}

Dwfl* ProcessImage::dwfl() const {
  return impl_->dwfl;
}

std::vector<ModuleInfo> ProcessImage::modules() const {
  std::vector<ModuleInfo> found;
  dwfl_getmodules(
      impl_->dwfl,
      [](Dwfl_Module* module, void**, const char*, Dwarf_Addr, void* list) -> int {
        static_cast<std::vector<ModuleInfo>*>(list)->push_back(info_of(module));
        return DWARF_CB_OK;
      },
      &found, 0);
  return found;
}

std::optional<ModuleInfo> ProcessImage::module_at(RemoteAddress address) const {
  Dwfl_Module* const module = dwfl_module_at(address);
  if (module == nullptr) return std::nullopt;
  return info_of(module);
}

bool ProcessImage::has_module_at(RemoteAddress address) const {
  return dwfl_module_at(address) != nullptr;
}

Dwfl_Module* ProcessImage::dwfl_module_at(RemoteAddress address) const {
  Dwfl_Module* const module = dwfl_addrmodule(impl_->dwfl, address.value());
  if (module == nullptr) return nullptr;
  Dwarf_Addr start = 0;
  Dwarf_Addr end = 0;
  dwfl_module_info(module, nullptr, &start, &end, nullptr, nullptr, nullptr, nullptr);
  return start <= address.value() && address.value() < end ? module : nullptr;
}

std::size_t ImageCode::read(RemoteAddress address, std::span<std::byte> destination) {
  if (const std::size_t live = memory_.read(address, destination); live > 0) return live;
  Dwfl_Module* const module = image_.dwfl_module_at(address);
  Dwarf_Addr bias = 0;
  Elf* const elf = module == nullptr ? nullptr : dwfl_module_getelf(module, &bias);
  std::size_t segments = 0;
  if (elf == nullptr || elf_getphdrnum(elf, &segments) != 0) return 0;
  for (std::size_t index = 0; index < segments; ++index) {
    GElf_Phdr segment;
    if (gelf_getphdr(elf, static_cast<int>(index), &segment) == nullptr ||
        segment.p_type != PT_LOAD)
      continue;
    const std::uint64_t offset = address.value() - bias - segment.p_vaddr;
    if (offset >= segment.p_filesz) continue;
    const auto count = static_cast<std::size_t>(
        std::min<std::uint64_t>(destination.size(), segment.p_filesz - offset));
    const Elf_Data* const data = elf_getdata_rawchunk(
        elf, static_cast<std::int64_t>(segment.p_offset + offset), count, ELF_T_BYTE);
    if (data == nullptr || data->d_buf == nullptr) return 0;
    std::memcpy(destination.data(), data->d_buf, count);
    return count;
  }
  return 0;
}

}  // namespace trapline::symbols
