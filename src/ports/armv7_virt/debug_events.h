// What the debug registers catch, and how the program gets past it.
//
// A watchpoint traps before its access: to go on, the CPU has to make the access with the register
// switched off. So the handler switches it off, puts a breakpoint on the next instruction, and
// returns with IRQs masked; at that breakpoint the new value is read, the hit is complete and the
// register on again. Nothing else runs on the CPU in between, so no hit of its own is lost. The
// other CPUs' hits wait for the one that is being stepped over: values are exact, since every store
// to the watched bytes traps first.
//
// What reads or writes the mask of IRQs would see the step's: MRS, MSR and CPS are not stepped over
// but executed on the saved registers.
//
// An exclusive store (STREX) always fails when it is tried again after a trap. It is left alone
// until its loop has stored: one hit.
//
// Not caught: what the handlers of aborts access, with all that they call: hits are off meanwhile.
// What they touch before that cannot be watched (DebugUnit::install refuses it). Handlers of
// undefined instructions, hooks for instance, are caught as everything else is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "ports/armv7_virt/frame.h"
#include "trapline/base/access.h"
#include "trapline/base/address.h"
#include "trapline/base/units.h"

namespace trapline::armv7_virt {

// What became of the access that was caught.
enum class Ending : std::uint8_t {
  made,
  faulted,        // the instruction faulted after all
  store_gave_up,  // an exclusive store failed, and its program did not try again
  not_seen,       // an interrupt came in the loop of an exclusive store: it may be made later
};

struct Caught {
  Nanoseconds time{};
  CpuId cpu{};
  std::uint32_t pc = 0;  // of the instruction that makes the access, or is the one executed
  bool is_thumb = false;
  // What the CPU said was accessed, where that lies in a watched range; else nullopt: unknown.
  std::optional<RemoteAddress> accessed = std::nullopt;
  // The register that fired; nullopt: several were set, and nothing tells which.
  std::optional<SlotIndex> slot = std::nullopt;
  RemoteAddress address{};  // what the register holds
  ByteCount length{};
  Access access = Access::write;  // what happened; read_write for a swap
  std::uint64_t old_value = 0;    // of the watched bytes, little-endian
  std::uint64_t new_value = 0;
  Ending ending = Ending::faulted;

  [[nodiscard]] bool is_complete() const { return ending == Ending::made; }
};

namespace debug_events {

// The oldest hit that was not taken yet. From any thread.
[[nodiscard]] std::optional<Caught> take();
// How many were dropped because nobody took them.
[[nodiscard]] std::uint64_t lost();
inline constexpr std::size_t kCapacity = 256;

// For fault handlers: whether the debug event was one of ours; the frame says where to go on.
[[nodiscard]] bool on_access(ExceptionFrame& frame, std::uint32_t address);
[[nodiscard]] bool on_instruction(ExceptionFrame& frame);
// Something else happened where a step was under way: the step ends here, and so, the registers are
// on again.
void abandon_step(ExceptionFrame& frame, Ending ending);

}  // namespace debug_events
}  // namespace trapline::armv7_virt
