// For tests that take a CPU of this machine away: it always comes back.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "ports/linux/cpu_files.h"
#include "trapline/base/units.h"

namespace trapline::linux_port::testing {

// The CPU that tests take away.
inline constexpr CpuId kSpareCpu{1};

// Why this machine cannot do it; "" if it can.
[[nodiscard]] inline std::string why_no_hotplug() {
  if (::access("/sys/devices/system/cpu/cpu1/online", F_OK) != 0)
    return "this kernel cannot take CPU 1 offline (no cpu1/online in sysfs)";
  if (::access("/sys/devices/system/cpu/cpu1/online", W_OK) != 0)
    return "only root may take CPU 1 offline";
  return {};
}

// Takes CPU 1 down and up as another program would: by writing to sysfs.
class SpareCpu {
 public:
  SpareCpu() = default;
  SpareCpu(const SpareCpu&) = delete;
  SpareCpu& operator=(const SpareCpu&) = delete;
  ~SpareCpu() { set_online(true); }

  static bool set_online(bool online) {
    return CpuFiles().set_online(kSpareCpu, online).has_value();
  }
  static bool flap() { return set_online(false) && set_online(true); }
};

class CpuHotplugTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = why_no_hotplug(); !reason.empty()) GTEST_SKIP() << reason;
  }

  SpareCpu cpu1_;
};

}  // namespace trapline::linux_port::testing
