#include "ports/armv7_virt/gic.h"

#include "isa/armv7/system_registers.h"
#include "ports/armv7_virt/memory_map.h"
#include "ports/armv7_virt/mmio.h"

namespace trapline::armv7_virt::gic {
namespace {

constexpr std::uintptr_t kDistributorControl = kGicDistributor + 0x000;
constexpr std::uintptr_t kSetEnable = kGicDistributor + 0x100;  // one bit for each interrupt
constexpr std::uintptr_t kTargets = kGicDistributor + 0x800;    // one byte for each interrupt
constexpr std::uintptr_t kGenerateSgi = kGicDistributor + 0xf00;
constexpr std::uintptr_t kInterfaceControl = kGicCpuInterface + 0x00;
constexpr std::uintptr_t kPriorityMask = kGicCpuInterface + 0x04;
constexpr std::uintptr_t kAcknowledge = kGicCpuInterface + 0x0c;
constexpr std::uintptr_t kEndOfInterrupt = kGicCpuInterface + 0x10;

constexpr std::uint32_t kEnable = 1;
constexpr std::uint32_t kAnyPriority = 0xff;
constexpr unsigned kWordBits = 32;

void set_enable(std::uint32_t interrupt) {
  mmio_write(kSetEnable + interrupt / kWordBits * sizeof(std::uint32_t),
             1U << interrupt % kWordBits);
}

}  // namespace

void initialize_distributor() {
  mmio_write(kDistributorControl, kEnable);
}

void initialize_cpu_interface() {
  mmio_write(kPriorityMask, kAnyPriority);
  mmio_write(kInterfaceControl, kEnable);
}

void disable_cpu_interface() {
  mmio_write(kInterfaceControl, 0);
}

CpuMask own_interface() {
  // The targets of an SGI read as the reader's own interface (GICD_ITARGETSR0).
  return static_cast<CpuMask>(mmio_read(kTargets));
}

void enable_private(std::uint32_t interrupt) {
  set_enable(interrupt);
}

void enable_shared(std::uint32_t interrupt, CpuMask target) {
  *reinterpret_cast<volatile std::uint8_t*>(kTargets + interrupt) = target;
  set_enable(interrupt);
}

void send(Sgi sgi, CpuMask targets) {
  // The receiver has to see what was stored before; a store to a device does not see to that.
  isa::armv7::dsb_ish();
  mmio_write(kGenerateSgi, std::uint32_t{targets} << 16 | static_cast<std::uint32_t>(sgi));
}

std::uint32_t acknowledge() {
  return mmio_read(kAcknowledge);
}

void complete(std::uint32_t acknowledged) {
  mmio_write(kEndOfInterrupt, acknowledged);
}

}  // namespace trapline::armv7_virt::gic
