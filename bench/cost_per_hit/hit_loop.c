// Writes one variable N times at the end of a chain of calls: the program that every tool is measured on.
#include <stdlib.h>

volatile int counter;

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
  const long count = argc > 1 ? atol(argv[1]) : 0;
  for (long i = 0; i < count; ++i) level1();
  return 0;
}
