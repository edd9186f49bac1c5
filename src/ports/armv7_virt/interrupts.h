// Interrupts of devices that the firmware serves.
#pragma once

namespace trapline::armv7_virt {

// In the interrupt, on the CPU that set it.
using InterruptHandler = void (*)();
// The UART's interrupts go to the calling CPU from now on.
void set_uart_handler(InterruptHandler handler);

}  // namespace trapline::armv7_virt
