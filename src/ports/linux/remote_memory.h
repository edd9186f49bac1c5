// Reading a live process's memory: process_vm_readv, and /proc/PID/mem where that is refused.
//
// One thread at a time. Needs the right to ptrace the process (ptrace(2), "Ptrace access mode
// checking", PTRACE_MODE_ATTACH_REALCREDS); without it every read is short by everything.
#pragma once

#include <cstddef>
#include <span>

#include "ports/linux/file_descriptor.h"
#include "trapline/base/units.h"
#include "trapline/port/memory_reader.h"

namespace trapline::linux_port {

class RemoteMemory final : public MemoryReader {
 public:
  explicit RemoteMemory(ProcessId pid) : pid_(pid) {}

  // Reads up to the first page that cannot be read. Does not stop the process: what it returns may
  // be torn by writes that happen meanwhile (aligned words are whole in practice; the kernel
  // promises nothing).
  [[nodiscard]] std::size_t read(RemoteAddress address, std::span<std::byte> destination) override;

 private:
  bool open_mem_file();
  [[nodiscard]] std::size_t read_mem_file(RemoteAddress address, std::span<std::byte> destination,
                                          std::size_t from) const;

  ProcessId pid_;
  FileDescriptor mem_;  // opened at the first refusal of process_vm_readv
};

}  // namespace trapline::linux_port
