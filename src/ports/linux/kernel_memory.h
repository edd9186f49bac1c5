// Reading the kernel's memory through /proc/kcore (fs/proc/kcore.c): an ELF core file whose program
// headers map the kernel's addresses to places in the file.
//
// One thread at a time. Needs CAP_SYS_RAWIO (so root), a kernel with CONFIG_PROC_KCORE, and no
// lockdown (kernel_lockdown(7)). The headers are read once: memory that is plugged in later cannot
// be read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/failure.h"
#include "ports/linux/file_descriptor.h"
#include "trapline/base/address.h"
#include "trapline/port/memory_reader.h"

namespace trapline::linux_port {

// The halves of the address space: the kernel has the upper one (x86: canonical addresses, SDM vol.
// 1, 3.3.7.1; arm64: TTBR1, Arm ARM D8.1).
[[nodiscard]] constexpr bool is_kernel_address(RemoteAddress address) {
  constexpr unsigned kTopBit = 63;
  return (address.value() >> kTopBit) != 0;
}

// One stretch of addresses that the file has.
struct CoreSegment {
  RemoteAddress start;
  std::uint64_t length = 0;
  std::uint64_t file_offset = 0;
};

class KernelMemory final : public MemoryReader {
 public:
  // Where the file cannot be used, obstacle() says why and every read is short by everything.
  explicit KernelMemory(const std::string& path = "/proc/kcore");

  // permission_denied; not_supported: there is no such file, or it is not such a core file;
  // os_failure. nullopt: memory can be read.
  [[nodiscard]] const std::optional<Failure>& obstacle() const { return obstacle_; }

  // Reads up to the first address that the file does not have. What it returns may be torn by
  // writes that happen meanwhile. Where the file has an address and nothing is mapped there, the
  // kernel gives zeros.
  [[nodiscard]] std::size_t read(RemoteAddress address, std::span<std::byte> destination) override;

 private:
  // nullptr if no segment has it.
  [[nodiscard]] const CoreSegment* find(RemoteAddress address) const;

  FileDescriptor file_;
  std::vector<CoreSegment> segments_;
  std::optional<Failure> obstacle_;
};

}  // namespace trapline::linux_port
