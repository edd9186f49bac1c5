// What WHAT means with -a, where there is no process to look it up in: something of the kernel, an
// address, or a variable or function of a file, in every process that has the file.
#pragma once

#include <optional>

#include "base/failure.h"
#include "symbols/mapped_files.h"
#include "tools/trapline/watch/watch_options.h"
#include "tools/trapline/watch/watched_object.h"
#include "trapline/port/debug_architecture.h"

namespace trapline::command {

// FILE:NAME. Where it lies differs from process to process.
struct FileObject {
  symbols::MappedFile file;
  symbols::FileVariable variable;
};

struct MachineObject {
  // For a FileObject: where it lies in a process that has it now, or, if there is none, where the
  // file was linked for.
  WatchedObject object;
  bool in_kernel = false;
  std::optional<FileObject> file;
};

// Errors: those of find_file_variable, find_kernel_variable and make_plan, each with its sentence.
// A name without a file that the kernel does not have either: unknown_name, and how to name a file.
[[nodiscard]] Result<MachineObject> find_machine_object(const WatchOptions& options,
                                                        const DebugArchitecture& machine);

}  // namespace trapline::command
