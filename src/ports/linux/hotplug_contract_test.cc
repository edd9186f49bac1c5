// The contract of every port of the hotplug state machine, on this machine's own CPUs.
#include "contract/hotplug_contract.h"

#include <sched.h>

#include <chrono>
#include <thread>
#include <vector>

#include "contract/hotplug_contract_threads.h"
#include "ports/linux/cpu_hotplug_test_support.h"
#include "trapline/linux/hotplug_port.h"

namespace trapline::contract {
namespace {

class LinuxUnderTest {
 public:
  using Port = linux_port::LinuxHotplugPort;
  // Taking a CPU down takes the kernel some 10 ms.
  static constexpr unsigned kCycles = 10;
  static constexpr unsigned kHistories = 10;
  using Thread = std::thread;
  static constexpr unsigned kThreads = 16;
  static void pause() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

  [[nodiscard]] Port& port() { return port_; }
  [[nodiscard]] static CpuId anchor() { return CpuId{0}; }
  [[nodiscard]] static std::vector<CpuId> others() {
    if (!linux_port::testing::why_no_hotplug().empty()) return {};
    return {linux_port::testing::kSpareCpu};
  }
  [[nodiscard]] static std::size_t room() { return 3; }
  [[nodiscard]] static bool is_here(CpuId cpu) {
    return static_cast<std::uint32_t>(::sched_getcpu()) == cpu.value;
  }

 private:
  linux_port::testing::SpareCpu cpu1_;
  Port port_{"/sys/devices/system/cpu", Port::Fences::automatic};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Linux, HotplugContract, LinuxUnderTest);
INSTANTIATE_TYPED_TEST_SUITE_P(Linux, HotplugContractThreads, LinuxUnderTest);

}  // namespace
}  // namespace trapline::contract
