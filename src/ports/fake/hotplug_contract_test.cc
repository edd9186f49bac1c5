#include "contract/hotplug_contract.h"

#include <vector>

#include "ports/fake/fake_machine.h"
#include "ports/fake/fake_port.h"

namespace trapline::contract {
namespace {

class FakeUnderTest {
 public:
  using Port = fake::FakePort;
  static constexpr unsigned kCycles = 1000;
  static constexpr unsigned kHistories = 500;

  FakeUnderTest() { hardware_.arrive(anchor()); }
  [[nodiscard]] Port& port() { return port_; }
  [[nodiscard]] static CpuId anchor() { return CpuId{0}; }
  [[nodiscard]] static std::vector<CpuId> others() { return {CpuId{1}, CpuId{2}}; }
  [[nodiscard]] static std::size_t room() { return 3; }
  [[nodiscard]] bool is_here(CpuId cpu) { return port_.current().cpu == cpu; }

 private:
  fake::FakeMachine hardware_{3};
  Port port_{hardware_};
};

// Threads at the same time: tests/interleave runs the contexts of the fake port in every order.
INSTANTIATE_TYPED_TEST_SUITE_P(Fake, HotplugContract, FakeUnderTest);

}  // namespace
}  // namespace trapline::contract
