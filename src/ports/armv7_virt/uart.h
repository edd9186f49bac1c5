// The PL011 serial port. Source: PrimeCell UART (PL011) TRM (DDI 0183), 3.3.
#pragma once

#include <optional>
#include <string_view>

namespace trapline::armv7_virt::uart {

// Once, on the first CPU, before anything is written.
void initialize();
// Blocks while the FIFO is full. Any context; who minds lines of others in between takes a lock.
void write(std::string_view text);
// A character that was received, if there is one.
[[nodiscard]] std::optional<char> read();
// Interrupts the CPU that serves the UART when something is received.
void enable_receive_interrupt();

}  // namespace trapline::armv7_virt::uart
