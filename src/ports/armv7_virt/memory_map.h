// Where things are on QEMU's machine `virt` (hw/arm/virt.c, base_memmap and a15irqmap) with GICv2.
//
// Another board with a GICv2, a PL011 and the architecture's timer changes this file and link.ld.
#pragma once

#include <cstddef>
#include <cstdint>

namespace trapline::armv7_virt {

inline constexpr std::uintptr_t kGicDistributor = 0x0800'0000;
inline constexpr std::uintptr_t kGicCpuInterface = 0x0801'0000;
inline constexpr std::uintptr_t kUart = 0x0900'0000;
inline constexpr std::uintptr_t kRam = 0x4000'0000;
inline constexpr std::size_t kRamSize = 0x0800'0000;  // QEMU's default, 128 MiB

// Interrupt numbers as the GIC counts them: 16 + PPI, 32 + SPI.
inline constexpr std::uint32_t kVirtualTimerInterrupt = 16 + 11;
inline constexpr std::uint32_t kUartInterrupt = 32 + 1;

// GICv2 has eight CPU interfaces, and so has the machine at most.
inline constexpr std::uint32_t kMaxBoardCpus = 8;

inline constexpr std::size_t kPageSize = 4096;

}  // namespace trapline::armv7_virt
