// A process's modules with their symbols and DWARF: the one place that owns elfutils handles.
//
// Opens a live process by its /proc/PID/maps and auxv; separate debug files are found by build-id,
// debuglink and, if the user configured it (DEBUGINFOD_URLS), debuginfod. Not synchronised: one
// thread. May read files; opening is lazy, so a process with hundreds of libraries costs only what
// is asked of them.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/failure.h"
#include "trapline/base/address.h"
#include "trapline/base/units.h"
#include "trapline/port/memory_reader.h"

struct Dwfl;
struct Dwfl_Module;

namespace trapline::symbols {

struct ModuleInfo {
  std::string path;  // as mapped; "[vdso]" for the vDSO
  RemoteAddress start;
  RemoteAddress end;

  friend bool operator==(const ModuleInfo&, const ModuleInfo&) = default;
};

class ProcessImage {
 public:
  // Errors: no_such_process, permission_denied, os_failure.
  [[nodiscard]] static Result<std::unique_ptr<ProcessImage>> open(ProcessId pid);

  ProcessImage(const ProcessImage&) = delete;
  ProcessImage& operator=(const ProcessImage&) = delete;
  ~ProcessImage();

  // Looks at the process's mappings again (after dlopen). Handles of modules that stayed are kept.
  [[nodiscard]] Result<void> refresh();

  [[nodiscard]] ProcessId pid() const;
  [[nodiscard]] std::vector<ModuleInfo> modules() const;
  // nullopt: none is mapped there.
  [[nodiscard]] std::optional<ModuleInfo> module_at(RemoteAddress address) const;
  // Whether one is; takes no copy of its path.
  [[nodiscard]] bool has_module_at(RemoteAddress address) const;

  // For the other files of this folder; nobody else touches elfutils.
  [[nodiscard]] Dwfl* dwfl() const;
  // nullptr between modules, where dwfl_addrmodule gives the one before.
  [[nodiscard]] Dwfl_Module* dwfl_module_at(RemoteAddress address) const;

 private:
  struct Impl;
  explicit ProcessImage(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A process's code: from its memory while it lives, else as its files have it.
class ImageCode final : public MemoryReader {
 public:
  // Both borrowed.
  ImageCode(ProcessImage& image, MemoryReader& memory) : image_(image), memory_(memory) {}
  [[nodiscard]] std::size_t read(RemoteAddress address, std::span<std::byte> destination) override;

 private:
  ProcessImage& image_;
  MemoryReader& memory_;
};

}  // namespace trapline::symbols
