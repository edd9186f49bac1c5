// The interrupt controller, a GICv2. Source: GIC Architecture Specification 2.0 (IHI 0048B), 4.3
// and 4.4.
#pragma once

#include <cstdint>

namespace trapline::armv7_virt::gic {

// A set of CPU interfaces, as GICD_SGIR takes it.
using CpuMask = std::uint8_t;

// What one CPU tells another.
enum class Sgi : std::uint8_t {
  wake,  // look again: there is work, or what you wait for may have come
  stop,  // the machine stops: say where you are, and stop
};

// Once, on the first CPU.
void initialize_distributor();
// On each CPU as it starts.
void initialize_cpu_interface();
// On a CPU that goes: it takes no interrupt any more.
void disable_cpu_interface();
// The calling CPU's own interface.
[[nodiscard]] CpuMask own_interface();

// A private interrupt of the calling CPU, or a shared one that goes to `target`.
void enable_private(std::uint32_t interrupt);
void enable_shared(std::uint32_t interrupt, CpuMask target);

// What the sender stored before is visible to the receiver. Any context.
void send(Sgi sgi, CpuMask targets);

// In the interrupt handler: the interrupt that is due, as GICC_IAR gives it, and that it is dealt
// with.
inline constexpr std::uint32_t kSpurious = 1023;
[[nodiscard]] std::uint32_t acknowledge();
[[nodiscard]] constexpr std::uint32_t interrupt_of(std::uint32_t acknowledged) {
  return acknowledged & 0x3ff;
}
void complete(std::uint32_t acknowledged);

}  // namespace trapline::armv7_virt::gic
