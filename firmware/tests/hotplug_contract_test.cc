// The contract of every port of the hotplug state machine, on this board's CPUs.
#include "contract/hotplug_contract.h"

#include <functional>
#include <vector>

#include "contract/hotplug_contract_threads.h"
#include "ports/armv7_virt/hotplug_port.h"
#include "support.h"

namespace trapline::contract {
namespace {

using namespace firmware::testing;

class BoardUnderTest {
 public:
  using Port = armv7_virt::Port;
  static constexpr unsigned kCycles = 200;
  static constexpr unsigned kHistories = 100;

  [[nodiscard]] Port& port() { return port_; }
  [[nodiscard]] static CpuId anchor() { return kCpu0; }
  [[nodiscard]] static std::vector<CpuId> others() { return {kCpu1, kCpu2, kCpu3}; }
  [[nodiscard]] static std::size_t room() { return 4; }
  [[nodiscard]] static bool is_here(CpuId cpu) {
    return (isa::armv7::read_mpidr() & 0xff) == cpu.value;
  }

 protected:
  Port port_;
};

// CPU 1 comes and goes; the threads are those of CPUs 2 and 3, of which the machine knows nothing.
class BoardWithThreads : public BoardUnderTest {
 public:
  static constexpr unsigned kThreads = 2;
  static constexpr unsigned kCycles = 50;  // two CPUs are busy all the while
  static constexpr std::array<CpuId, kThreads> kThreadCpus{kCpu2, kCpu3};

  class Thread {
   public:
    template <typename Function>
    explicit Thread(Function function) : thread_(free_cpu(), std::move(function)) {}
    void join() { thread_.join(); }

   private:
    [[nodiscard]] static CpuId free_cpu() {
      for (const CpuId cpu : kThreadCpus) {
        if (!armv7_virt::thread_is_at_work(cpu)) return cpu;
      }
      return kCpu0;  // which refuses
    }
    CpuThread thread_;
  };

  BoardWithThreads() {
    for (const CpuId cpu : kThreadCpus) EXPECT_TRUE(armv7_virt::turn_on(cpu).has_value());
  }
  BoardWithThreads(const BoardWithThreads&) = delete;
  BoardWithThreads& operator=(const BoardWithThreads&) = delete;
  ~BoardWithThreads() {
    for (const CpuId cpu : kThreadCpus) EXPECT_TRUE(armv7_virt::turn_off(cpu).has_value());
  }
  [[nodiscard]] static std::vector<CpuId> others() { return {kCpu1}; }
  [[nodiscard]] static std::size_t room() { return 2; }
  static void pause() { spin_for(Nanoseconds{5'000'000}); }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Armv7Virt, HotplugContract, BoardUnderTest);
INSTANTIATE_TYPED_TEST_SUITE_P(Armv7Virt, HotplugContractThreads, BoardWithThreads);

}  // namespace
}  // namespace trapline::contract
