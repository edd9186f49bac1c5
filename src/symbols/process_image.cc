#include "symbols/process_image.h"

#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace trapline::symbols {
namespace {

constexpr std::string_view kDeleted = " (deleted)";

// Opens a module's file as the process sees it: through its own root (a container's files are not
// ours), and the program itself through /proc/PID/exe where its file was replaced since (a
// rebuild).
int open_module(Dwfl_Module* module, void** user_data, const char* name, Dwarf_Addr base,
                char** file_name, Elf** elf) {
  const auto pid = static_cast<std::int32_t>(reinterpret_cast<std::intptr_t>(*user_data));
  const std::string_view path = name == nullptr ? std::string_view() : std::string_view(name);
  if (pid != 0 && path.starts_with('/')) {
    const std::string seen_by_process = path.ends_with(kDeleted)
                                            ? fmt::format("/proc/{}/exe", pid)
                                            : fmt::format("/proc/{}/root{}", pid, path);
    const int fd = ::open(seen_by_process.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
      *file_name = ::strdup(seen_by_process.c_str());
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

}  // namespace

struct ProcessImage::Impl {
  ProcessId pid;
  Dwfl* dwfl = nullptr;

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

  // Gives open_module the pid: elfutils hands every module one word of ours.
  void mark_modules() {
    dwfl_getmodules(
        dwfl,
        [](Dwfl_Module*, void** user_data, const char*, Dwarf_Addr, void* argument) -> int {
          *user_data = reinterpret_cast<void*>(
              static_cast<std::intptr_t>(static_cast<ProcessId*>(argument)->value));
          return DWARF_CB_OK;
        },
        &pid, 0);
  }

  ~Impl() {
    if (dwfl != nullptr) dwfl_end(dwfl);
  }
};

Result<std::unique_ptr<ProcessImage>> ProcessImage::open(ProcessId pid) {
  auto impl = std::make_unique<Impl>();
  impl->pid = pid;
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
      [](Dwfl_Module* module, void**, const char* name, Dwarf_Addr start, void* list) -> int {
        Dwarf_Addr end = 0;
        dwfl_module_info(module, nullptr, nullptr, &end, nullptr, nullptr, nullptr, nullptr);
        static_cast<std::vector<ModuleInfo>*>(list)->push_back(
            {name, RemoteAddress(start), RemoteAddress(end)});
        return DWARF_CB_OK;
      },
      &found, 0);
  return found;
}

std::optional<ModuleInfo> ProcessImage::module_at(RemoteAddress address) const {
  Dwfl_Module* const module = dwfl_addrmodule(impl_->dwfl, address.value());
  if (module == nullptr) return std::nullopt;
  Dwarf_Addr start = 0;
  Dwarf_Addr end = 0;
  const char* const name =
      dwfl_module_info(module, nullptr, &start, &end, nullptr, nullptr, nullptr, nullptr);
  return ModuleInfo{name, RemoteAddress(start), RemoteAddress(end)};
}

}  // namespace trapline::symbols
