// A device's 32-bit registers. Device memory is strongly ordered among itself; what other memory
// must be visible first needs a barrier by the caller.
#pragma once

#include <cstdint>

namespace trapline::armv7_virt {

[[nodiscard]] inline std::uint32_t mmio_read(std::uintptr_t address) {
  return *reinterpret_cast<volatile std::uint32_t*>(address);
}
inline void mmio_write(std::uintptr_t address, std::uint32_t value) {
  *reinterpret_cast<volatile std::uint32_t*>(address) = value;
}

}  // namespace trapline::armv7_virt
