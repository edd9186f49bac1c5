// The debug registers by CP14, under numbers: an access needs an instruction of its own for each
// register (debug_access.S), since its number is part of the instruction.
//
// Privileged modes; any context but Undefined mode: a safe form that faults there loses its return
// address, which is in the link register that the fault overwrites. The plain forms have no
// exception-table entry: a register that this CPU does not have is an unhandled fault there.
// Source: Arm ARM Armv7-A/R (DDI 0406C), C11.11.
#pragma once

#include <cstddef>
#include <cstdint>

namespace trapline::isa::armv7 {

// The place of a register in the tables of debug_access.S: first 16 of each kind of the value and
// control registers, whether the CPU has them or not; then those of which there is one.
class DebugRegister {
 public:
  [[nodiscard]] static constexpr DebugRegister breakpoint_value(std::size_t index) {
    return DebugRegister(index);
  }
  [[nodiscard]] static constexpr DebugRegister breakpoint_control(std::size_t index) {
    return DebugRegister(kBank + index);
  }
  [[nodiscard]] static constexpr DebugRegister watchpoint_value(std::size_t index) {
    return DebugRegister(2 * kBank + index);
  }
  [[nodiscard]] static constexpr DebugRegister watchpoint_control(std::size_t index) {
    return DebugRegister(3 * kBank + index);
  }
  [[nodiscard]] static constexpr DebugRegister identity() { return named(0); }        // DBGDIDR
  [[nodiscard]] static constexpr DebugRegister status_control() { return named(1); }  // DBGDSCRext
  [[nodiscard]] static constexpr DebugRegister vector_catch() { return named(2); }    // DBGVCR
  [[nodiscard]] static constexpr DebugRegister os_lock_access() { return named(3); }  // DBGOSLAR
  [[nodiscard]] static constexpr DebugRegister os_lock_status() { return named(4); }  // DBGOSLSR
  [[nodiscard]] static constexpr DebugRegister os_double_lock() { return named(5); }  // DBGOSDLR
  [[nodiscard]] static constexpr DebugRegister authentication_status() { return named(6); }

  [[nodiscard]] constexpr std::uint32_t number() const { return number_; }

  // How many of each kind the encoding has room for.
  static constexpr std::size_t kBank = 16;

 private:
  explicit constexpr DebugRegister(std::size_t number)
      : number_(static_cast<std::uint32_t>(number)) {}
  [[nodiscard]] static constexpr DebugRegister named(std::size_t index) {
    return DebugRegister(4 * kBank + index);
  }
  std::uint32_t number_;
};

}  // namespace trapline::isa::armv7

extern "C" {
// debug_access.S. The safe forms: false, and no register has changed, if the instruction is
// undefined here.
std::uint32_t trapline_dbg_read(std::uint32_t number);
void trapline_dbg_write(std::uint32_t number, std::uint32_t value);
bool trapline_dbg_read_safe(std::uint32_t number, std::uint32_t* value);
bool trapline_dbg_write_safe(std::uint32_t number, std::uint32_t value);
}

namespace trapline::isa::armv7 {

[[nodiscard]] inline std::uint32_t dbg_read(DebugRegister which) {
  return trapline_dbg_read(which.number());
}
inline void dbg_write(DebugRegister which, std::uint32_t value) {
  trapline_dbg_write(which.number(), value);
}
[[nodiscard]] inline bool dbg_read_safe(DebugRegister which, std::uint32_t& value) {
  return trapline_dbg_read_safe(which.number(), &value);
}
[[nodiscard]] inline bool dbg_write_safe(DebugRegister which, std::uint32_t value) {
  return trapline_dbg_write_safe(which.number(), value);
}

}  // namespace trapline::isa::armv7
