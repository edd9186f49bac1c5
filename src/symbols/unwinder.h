// A stack from call-frame information: registers and a copy of the stack in, return addresses out.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "symbols/process_image.h"
#include "trapline/base/address.h"
#include "trapline/port/user_registers.h"

namespace trapline::symbols {

// Return addresses, innermost first, without the starting ip; as far as CFI and the copied bytes
// reach. Works on registers alone: the process need not be stopped.
[[nodiscard]] std::vector<RemoteAddress> unwind(ProcessImage& image, const UserRegisters& registers,
                                                std::span<const std::byte> stack,
                                                std::size_t max_frames = 128);

}  // namespace trapline::symbols
