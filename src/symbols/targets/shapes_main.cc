// Says what is true of code_shapes.cc, then stays until its standard input ends.
#include <cstdio>

extern "C" void run_shapes();

int main() {
  run_shapes();
  std::puts("ready");
  std::fflush(stdout);
  return std::getchar() == EOF ? 0 : 1;
}
