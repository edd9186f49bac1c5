#include "ports/armv7_virt/uart.h"

#include "ports/armv7_virt/memory_map.h"
#include "ports/armv7_virt/mmio.h"

namespace trapline::armv7_virt::uart {
namespace {

constexpr std::uintptr_t kData = kUart + 0x00;
constexpr std::uintptr_t kFlags = kUart + 0x18;
constexpr std::uintptr_t kLineControl = kUart + 0x2c;
constexpr std::uintptr_t kControl = kUart + 0x30;
constexpr std::uintptr_t kInterruptMask = kUart + 0x38;

constexpr std::uint32_t kReceiveEmpty = 1U << 4;
constexpr std::uint32_t kTransmitFull = 1U << 5;
constexpr std::uint32_t kEightBits = 0b11U << 5;
constexpr std::uint32_t kEnable = 1U << 0 | 1U << 8 | 1U << 9;   // UARTEN, TXE, RXE
constexpr std::uint32_t kReceiveInterrupts = 1U << 4 | 1U << 6;  // RXIM, RTIM

}  // namespace

void initialize() {
  mmio_write(kControl, 0);
  // Without FIFOs: each character received interrupts.
  mmio_write(kLineControl, kEightBits);
  mmio_write(kControl, kEnable);
}

void write(std::string_view text) {
  for (const char character : text) {
    while ((mmio_read(kFlags) & kTransmitFull) != 0) {
    }
    mmio_write(kData, static_cast<unsigned char>(character));
  }
}

std::optional<char> read() {
  if ((mmio_read(kFlags) & kReceiveEmpty) != 0) return std::nullopt;
  return static_cast<char>(mmio_read(kData));
}

void enable_receive_interrupt() {
  mmio_write(kInterruptMask, kReceiveInterrupts);
}

}  // namespace trapline::armv7_virt::uart
