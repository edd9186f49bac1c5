// The CPUs as /sys/devices/system/cpu shows them, and the switch that takes one down or up.
//
// Holds only a path. Every call opens what it needs and closes it; one object may be used from
// several threads, not from a signal handler (it allocates). Reads do not block on hotplug.
// Sources: Documentation/admin-guide/cputopology.rst,
// Documentation/ABI/testing/sysfs-devices-system-cpu.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "trapline/base/cpu_set.h"
#include "trapline/base/error.h"
#include "trapline/base/units.h"

namespace trapline::linux_port {

// One life of a CPU, from coming online to going offline: the inode number of cpuN/topology.
//
// The kernel removes that folder when the CPU goes offline and makes it anew, before it starts the
// CPU, each time it comes online (drivers/base/topology.c, state "base/topology:prepare"). Since
// Linux 4.14 sysfs does not reuse an inode number soon (fs/kernfs/dir.c, idr_alloc_cyclic), so two
// different numbers prove that the CPU was offline in between, and equal ones that it was not.
//
// Its ctime says nothing: sysfs gives a folder the time at which somebody first looked it up
// (fs/kernfs/inode.c, set_default_inode_attr), which may be long after the CPU came online.
struct CpuGeneration {
  std::uint64_t inode = 0;

  friend constexpr auto operator<=>(CpuGeneration, CpuGeneration) = default;
};

class CpuFiles {
 public:
  explicit CpuFiles(std::string root = "/sys/devices/system/cpu");

  // Errors: not_supported if there is no such file (sysfs is not mounted), bad_syntax,
  // permission_denied, limit_reached, os_failure.
  [[nodiscard]] std::expected<CpuSet, Error> possible() const;
  [[nodiscard]] std::expected<CpuSet, Error> present() const;
  [[nodiscard]] std::expected<CpuSet, Error> online() const;

  // Takes a CPU down or brings it up, and returns when that is done: milliseconds, more under load.
  // Into the state it already has: success. After an error the CPU is in the state it had, but one
  // that the kernel had half taken down may have lost its perf events (see cpu_changes.h).
  // Errors: not_supported (this CPU cannot be taken down, as CPU 0 on many machines; or there is
  // none of this number), permission_denied (not root, or a read-only sysfs), limit_reached,
  // os_failure with the kernel's errno: EBUSY for the last CPU and while hotplug is disabled,
  // otherwise whatever the part of the kernel said that refused.
  [[nodiscard]] std::expected<void, Error> set_online(CpuId cpu, bool online) const;

  // The life the CPU is in. nullopt if it is offline, and for all CPUs where this kernel or file
  // system does not tell lives apart. Already there while the CPU is being started, and still there
  // while it is being taken down.
  [[nodiscard]] std::optional<CpuGeneration> generation(CpuId cpu) const;

 private:
  [[nodiscard]] std::string path_of(CpuId cpu, const char* name) const;
  [[nodiscard]] std::expected<CpuSet, Error> read_set(const char* name) const;

  std::string root_;
  bool has_generations_;
};

}  // namespace trapline::linux_port
