// Whether the library that holds a watched variable is still mapped where it was.
//
// That the variable's address is mapped does not tell: after a dlclose, anything may be mapped
// there. What tells is which byte of which file lies at the module's first address; it stays the
// same when the dynamic linker splits the module's mappings (RELRO), when the file is deleted or
// renamed, and when the same file is loaded to the same place again, where the variable is then
// again.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "ports/linux/proc_fs.h"
#include "trapline/base/address.h"

namespace trapline::command {

class ModulePresence {
 public:
  // `address` is the variable's. If no file is mapped at `module_start` (the vDSO, a program that
  // unmapped its own file), only whether `address` is mapped will be looked at.
  ModulePresence(std::span<const linux_port::Mapping> mappings, RemoteAddress module_start,
                 RemoteAddress address);

  [[nodiscard]] bool holds_in(std::span<const linux_port::Mapping> mappings) const;

 private:
  struct FilePosition {
    std::uint64_t inode = 0;  // not the path, which a rename changes
    std::uint64_t offset = 0;
    bool operator==(const FilePosition&) const = default;
  };
  [[nodiscard]] static std::optional<FilePosition> file_position(
      std::span<const linux_port::Mapping> mappings, RemoteAddress address);

  RemoteAddress module_start_;
  RemoteAddress address_;
  std::optional<FilePosition> position_;  // of module_start_
};

}  // namespace trapline::command
