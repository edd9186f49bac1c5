// The kernel's own hotplug state of each CPU, as it shows it in sysfs.
//
// Source: Documentation/ABI/testing/sysfs-devices-system-cpu, "hotplug"; kernel/cpu.c. Needs a
// kernel with CONFIG_HOTPLUG_CPU. Blocks only while it reads; nothing is kept but the names.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "trapline/base/units.h"

namespace trapline::linux_port {

// From the text of .../cpu/hotplug/states: lines of "236: online". Lines that are not of that form
// are left out. Pure.
[[nodiscard]] std::map<int, std::string> parse_kernel_cpu_states(std::string_view text);

class KernelCpuStates {
 public:
  explicit KernelCpuStates(std::string root = "/sys/devices/system/cpu");

  // nullopt where the kernel does not tell.
  [[nodiscard]] std::optional<int> state_of(CpuId cpu) const;
  // "" if the number has no name: drivers come and go with theirs.
  [[nodiscard]] std::string name_of(int state) const;

 private:
  std::string root_;
  std::map<int, std::string> names_;
};

}  // namespace trapline::linux_port
