// What a uevent says of a CPU. Pure: bytes in, value out.
//
// The kernel's form (lib/kobject_uevent.c): "ACTION@DEVPATH", then "KEY=VALUE" fields, each ended
// by a NUL. The fields used: ACTION, DEVPATH, SUBSYSTEM and SEQNUM.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "trapline/base/units.h"

namespace trapline::linux_port {

struct CpuUevent {
  CpuId cpu;
  bool online = false;         // sent after it came online, or after it went offline
  std::uint64_t sequence = 0;  // ascending over all uevents of the system

  friend constexpr bool operator==(const CpuUevent&, const CpuUevent&) = default;
};

// nullopt for everything that is not the kernel's word that a CPU changed: other actions and
// subsystems, messages of udev ("libudev..."), what somebody made up by writing to a file "uevent"
// (those carry SYNTH_UUID since Linux 4.13, Documentation/ABI/testing/sysfs-uevent), cut messages,
// and CPU numbers from kMaxCpus on.
[[nodiscard]] std::optional<CpuUevent> parse_cpu_uevent(std::string_view message);

}  // namespace trapline::linux_port
