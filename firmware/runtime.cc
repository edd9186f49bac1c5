// What the compiler's support library asks for in an image without C++ exceptions: the personality
// routines that its functions' unwind tables name. Nothing unwinds here.
#include "ports/armv7_virt/stop.h"

extern "C" {
void __aeabi_unwind_cpp_pr0();
void __aeabi_unwind_cpp_pr1();
void __cxa_pure_virtual();
}

void __aeabi_unwind_cpp_pr0() {
  trapline::armv7_virt::stop_for_bug("unwinding in an image without exceptions");
}
void __aeabi_unwind_cpp_pr1() {
  __aeabi_unwind_cpp_pr0();
}
void __cxa_pure_virtual() {
  trapline::armv7_virt::stop_for_bug("a pure virtual function was called");
}
