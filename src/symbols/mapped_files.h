// A variable of a program or library file, in all the processes that map the file.
//
// The address is found from the file alone, and is the same distance from where each process has
// the file loaded. Plain values; every call reads /proc or the file anew, and blocks while it does:
// some 4 ms for 100 small processes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/failure.h"
#include "symbols/expression.h"
#include "symbols/value_type.h"
#include "trapline/base/address.h"
#include "trapline/base/units.h"

namespace trapline::symbols {

// A file as /proc/PID/maps identifies it (proc(5)). That is not always what stat(2) tells: on btrfs
// and overlayfs the device numbers differ.
struct FileIdentity {
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  std::uint64_t inode = 0;

  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

// One PT_LOAD of its program headers (elf(5)).
struct LoadSegment {
  std::uint64_t offset = 0;       // in the file
  std::uint64_t file_size = 0;    // from there
  std::uint64_t address = 0;      // it was linked for
  std::uint64_t memory_size = 0;  // from there; what the file does not have is zero
  bool is_writable = false;
  bool is_executable = false;
};

// Its name may change, and mean another file in a container: it is the identity that counts.
struct MappedFile {
  std::string path;  // where this process can open it; /proc/PID/root/... for a container's
  FileIdentity identity;
  std::vector<LoadSegment> segments;  // at least one, by address
  bool is_position_independent = false;

  // Where offset 0 of the file would lie at the addresses it was linked for.
  [[nodiscard]] std::uint64_t linked_start() const {
    return segments.front().address - segments.front().offset;
  }
};

struct FileMapping {
  ProcessId pid;
  RemoteAddress start;  // load address of the file: where its offset 0 would be mapped
  std::string path;     // as /proc/PID/maps has it
};

struct FileMappings {
  std::vector<FileMapping> mappings;     // by process; one for each load address
  std::size_t unreadable_processes = 0;  // those that may not be looked at; they may map it, too
};

// `name` is a path, or the tail of the path of a program or library that a process runs
// ("libc.so.6"). Errors: unknown_name, ambiguous_name (lists paths that can be given instead),
// bad_type (no program or library), permission_denied, os_failure.
[[nodiscard]] Result<MappedFile> identify_file(std::string_view name);

// The processes, this one included, that have the file loaded as a program or library. Merely
// reading it through mmap(2) does not count. No process that starts, ends or loads meanwhile is an
// error; it is in the list or not. Processes that /proc hides (hidepid) cannot be counted.
[[nodiscard]] FileMappings find_mappings(const MappedFile& file);

// Where one process has the file loaded; mostly one address or none.
[[nodiscard]] std::vector<RemoteAddress> find_mappings_in(const MappedFile& file, ProcessId pid);

// A variable of the file, or the first instruction of a function.
struct FileVariable {
  std::uint64_t offset_from_load = 0;
  ByteCount length;  // 0 if neither DWARF nor ELF tells (ask the user for --length)
  ValueType type;
  // If not, the file is a program that lies at its one address in every process.
  bool position_independent = false;
  std::vector<std::string> notes;
};

// `expression` is what follows the file's colon; a file in it is a source file, and an address in
// it is one that the file was linked for, as nm(1) prints it. Needs no process. Errors: those of
// resolve_object; bad_type also for what differs from process to process: what a pointer leads to,
// and a thread-local variable.
[[nodiscard]] Result<FileVariable> find_file_variable(const MappedFile& file,
                                                      const Expression& expression);

// For -t x: the function's entry; its length is 1. Errors: those of resolve_function.
[[nodiscard]] Result<FileVariable> find_file_function(const MappedFile& file,
                                                      const Expression& expression);

[[nodiscard]] inline RemoteAddress address_in(const FileMapping& mapping,
                                              const FileVariable& variable) {
  return mapping.start + ByteCount{variable.offset_from_load};
}
// Where the variable lies in every process if it is not position-independent.
[[nodiscard]] inline RemoteAddress linked_address(const MappedFile& file,
                                                  const FileVariable& variable) {
  return RemoteAddress(file.linked_start() + variable.offset_from_load);
}

}  // namespace trapline::symbols
