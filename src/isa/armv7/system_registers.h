// Armv7-A system registers, barriers and interrupt masks: a function for each instruction.
//
// Privileged modes only; any context. Source: Arm ARM Armv7-A/R (DDI 0406C), B4.1 "System control
// registers", B6.1 "Alphabetical list of instructions".
#pragma once

#include <cstdint>

namespace trapline::isa::armv7 {

// Every access is volatile and clobbers memory: the compiler may not move loads and stores over a
// register that changes what they mean.
#define TRAPLINE_READ_REGISTER(name, operands)                \
  [[nodiscard]] inline std::uint32_t read_##name() {          \
    std::uint32_t value;                                      \
    asm volatile("mrc " operands : "=r"(value) : : "memory"); \
    return value;                                             \
  }                                                           \
  static_assert(true)
#define TRAPLINE_WRITE_REGISTER(name, operands)              \
  inline void write_##name(std::uint32_t value) {            \
    asm volatile("mcr " operands : : "r"(value) : "memory"); \
  }                                                          \
  static_assert(true)

TRAPLINE_READ_REGISTER(mpidr, "p15, 0, %0, c0, c0, 5");
TRAPLINE_READ_REGISTER(dfsr, "p15, 0, %0, c5, c0, 0");
TRAPLINE_READ_REGISTER(ifsr, "p15, 0, %0, c5, c0, 1");
TRAPLINE_READ_REGISTER(dfar, "p15, 0, %0, c6, c0, 0");
TRAPLINE_WRITE_REGISTER(vbar, "p15, 0, %0, c12, c0, 0");
TRAPLINE_READ_REGISTER(tpidrprw, "p15, 0, %0, c13, c0, 4");
TRAPLINE_WRITE_REGISTER(tpidrprw, "p15, 0, %0, c13, c0, 4");
TRAPLINE_READ_REGISTER(cntfrq, "p15, 0, %0, c14, c0, 0");
TRAPLINE_WRITE_REGISTER(cntv_tval, "p15, 0, %0, c14, c3, 0");
TRAPLINE_WRITE_REGISTER(cntv_ctl, "p15, 0, %0, c14, c3, 1");
TRAPLINE_WRITE_REGISTER(tlbimvaais, "p15, 0, %0, c8, c3, 3");  // a page, on all CPUs

#undef TRAPLINE_READ_REGISTER
#undef TRAPLINE_WRITE_REGISTER

[[nodiscard]] inline std::uint64_t read_cntvct() {
  std::uint64_t value;
  asm volatile("isb\n\tmrrc p15, 1, %Q0, %R0, c14" : "=r"(value) : : "memory");
  return value;
}

// Inner shareable: among the CPUs. Full: also what devices and the debug logic see.
inline void dmb_ish() {
  asm volatile("dmb ish" : : : "memory");
}
inline void dsb_ish() {
  asm volatile("dsb ish" : : : "memory");
}
inline void dsb() {
  asm volatile("dsb" : : : "memory");
}
inline void isb() {
  asm volatile("isb" : : : "memory");
}
inline void wfi() {
  asm volatile("dsb\n\twfi" : : : "memory");
}

inline constexpr std::uint32_t kModeMask = 0x1f;
inline constexpr std::uint32_t kModeUser = 0x10;
inline constexpr std::uint32_t kModeSupervisor = 0x13;
inline constexpr std::uint32_t kThumbBit = 1U << 5;
inline constexpr std::uint32_t kIrqMaskBit = 1U << 7;

[[nodiscard]] inline std::uint32_t read_cpsr() {
  std::uint32_t value;
  asm volatile("mrs %0, cpsr" : "=r"(value) : : "memory");
  return value;
}
[[nodiscard]] inline bool irqs_are_masked() {
  return (read_cpsr() & kIrqMaskBit) != 0;
}
inline void mask_irqs() {
  asm volatile("cpsid i" : : : "memory");
}
// A pending IRQ is taken before the next instruction: without the barrier it may not be before they
// are masked again.
inline void unmask_irqs() {
  asm volatile("cpsie i\n\tisb" : : : "memory");
}

// Masks IRQs for as long as it lives, and leaves them as it found them.
class IrqMask {
 public:
  IrqMask() : were_masked_(irqs_are_masked()) { mask_irqs(); }
  IrqMask(const IrqMask&) = delete;
  IrqMask& operator=(const IrqMask&) = delete;
  ~IrqMask() {
    if (!were_masked_) unmask_irqs();
  }

 private:
  bool were_masked_;
};

// The stack pointer that the CPU has in another privileged mode. With IRQs masked: the mode is
// entered and left.
inline void set_banked_stack(std::uint32_t mode, std::uintptr_t top) {
  const std::uint32_t own = read_cpsr();
  asm volatile(
      "msr cpsr_c, %[there]\n\t"
      "mov sp, %[top]\n\t"
      "msr cpsr_c, %[back]"
      :
      : [there] "r"((own & ~kModeMask) | mode), [top] "r"(top), [back] "r"(own)
      : "memory");
}

// SMC Calling Convention (DEN 0028): arguments in r0 to r3, the result in r0; r1 to r3 may come
// back changed.
inline std::uint32_t hypervisor_call(std::uint32_t function, std::uint32_t first,
                                     std::uint32_t second, std::uint32_t third) {
  register std::uint32_t r0 asm("r0") = function;
  register std::uint32_t r1 asm("r1") = first;
  register std::uint32_t r2 asm("r2") = second;
  register std::uint32_t r3 asm("r3") = third;
  asm volatile(".arch_extension virt\n\thvc #0"
               : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3)
               :
               : "memory");
  return r0;
}

// Semihosting for AArch32 (Arm "Semihosting", version 2.0): the operation in r0, its argument in
// r1, the answer in r0. Where no debugger or emulator listens this is a supervisor call.
inline std::uint32_t semihosting_call(std::uint32_t operation, std::uint32_t argument) {
  register std::uint32_t r0 asm("r0") = operation;
  register std::uint32_t r1 asm("r1") = argument;
#if defined(__thumb__)
  asm volatile("svc #0xab" : "+r"(r0) : "r"(r1) : "memory", "lr");
#else
  asm volatile("svc #0x123456" : "+r"(r0) : "r"(r1) : "memory", "lr");
#endif
  return r0;
}

}  // namespace trapline::isa::armv7
