// Writes one variable N times at the end of a chain of calls: the program that every tool is measured on.
// Without an argument it prints the variable's address, which some tools want instead of a name.
#include <stdio.h>
#include <stdlib.h>

// On a page of its own: the kernel zeroes the rest of the page where .data ends when the program is executed, and a tool
// that watches the kernel's writes too would count that one.
__attribute__((aligned(4096))) volatile int counter;

#define LEVEL(name, next) \
  __attribute__((noinline)) void name(void) { \
    next(); \
    __asm__ volatile(""); \
  }

__attribute__((noinline)) void bump(void) { counter = counter + 1; }
LEVEL(level4, bump)
LEVEL(level3, level4)
LEVEL(level2, level3)
LEVEL(level1, level2)

int main(int argc, char** argv) {
  if (argc < 2) {
    printf("%p\n", (void*)&counter);
    return 0;
  }
  const long count = atol(argv[1]);
  for (long i = 0; i < count; ++i) level1();
  return 0;
}
