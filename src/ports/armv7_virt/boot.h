// From the first instruction to the firmware's main function.
#pragma once

// The firmware's: runs as the thread of the first CPU, interrupts unmasked, the other CPUs off.
// What it returns is the emulator's exit status.
int firmware_main();
