// What an emulator or debugger does for the firmware: its arguments, and its exit status.
// Source: Arm "Semihosting for AArch32 and AArch64", 2.0.
#pragma once

#include <span>
#include <string_view>

namespace trapline::armv7_virt::semihosting {

// Ends the emulator with this status. Where it does not listen, turns the machine off.
[[noreturn]] void exit(int status);
// The command line given to the emulator, in `storage`; empty if it does not fit or there is none.
[[nodiscard]] std::string_view command_line(std::span<char> storage);

}  // namespace trapline::armv7_virt::semihosting
