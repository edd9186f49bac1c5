// The path of a file, as /proc/PID/maps and DWARF have it. Pure. Views of what was given.
#pragma once

#include <string_view>

namespace trapline::symbols {

// What the kernel puts behind the path of a file that was deleted (proc(5), /proc/PID/maps).
inline constexpr std::string_view kDeleted = " (deleted)";

[[nodiscard]] inline std::string_view without_deleted(std::string_view path) {
  if (path.ends_with(kDeleted)) path.remove_suffix(kDeleted.size());
  return path;
}

[[nodiscard]] inline std::string_view basename_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace trapline::symbols
