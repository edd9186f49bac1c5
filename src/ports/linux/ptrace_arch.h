// What of ptrace depends on the architecture: one body per architecture, in its folder.
//
// Every function takes a thread that the calling thread traces and that is in a ptrace stop. Errors
// carry the errno; target_gone when the thread was killed meanwhile.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "trapline/base/address.h"
#include "trapline/base/error.h"
#include "trapline/base/units.h"
#include "trapline/port/user_registers.h"
#include "trapline/watch/plan.h"

namespace trapline::linux_port {

// Puts slots[i] into debug register registers[i] and enables it; every other debug register is
// disabled. All or nothing: after an error all of them are disabled. Errors: no_free_slot,
// misaligned, bad_length, access_unsupported (as the layout says), unreadable_memory (the kernel
// refuses the address), target_gone, os_failure.
[[nodiscard]] std::expected<void, Error> write_debug_registers(
    ThreadId tid, std::span<const SlotRequest> slots, std::span<const SlotIndex> registers);

// Disables all of them.
[[nodiscard]] std::expected<void, Error> clear_debug_registers(ThreadId tid);

// Which of them fired since the last call: bit n is debug register n. Forgets them.
[[nodiscard]] std::uint32_t take_fired_registers(ThreadId tid);

[[nodiscard]] std::expected<UserRegisters, Error> read_user_registers(ThreadId tid);

// The registers a frame walk starts from. Absent where not captured.
struct FrameRegisters {
  std::optional<std::uint64_t> instruction;
  std::optional<std::uint64_t> stack;
  std::optional<std::uint64_t> frame;
  std::optional<std::uint64_t> link = std::nullopt;  // where calls leave the return address there
};
[[nodiscard]] FrameRegisters frame_registers(const UserRegisters& registers);

// Where the instruction at an entry point lies: of a function pointer, a bit may tell the
// instruction set.
[[nodiscard]] RemoteAddress code_address(RemoteAddress entry);

// `original`, the word there, with its first bytes replaced by the breakpoint instruction.
[[nodiscard]] std::uint64_t with_breakpoint(std::uint64_t original, RemoteAddress entry);

// If the thread has just executed the breakpoint instruction there, puts it back before it and says
// true.
[[nodiscard]] bool rewind_breakpoint(ThreadId tid, RemoteAddress entry);

}  // namespace trapline::linux_port
