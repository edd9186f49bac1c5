#include "entries.h"

[[gnu::noinline]] bool second_file_survives() {
  return template_survives<1>() && template_survives<2>() && template_survives<3>() &&
         !trapline::fault::try_load(reinterpret_cast<char*>(std::uintptr_t{0x90}));
}

// Nobody calls it: with --gc-sections its code may go, and then its entry must not be left behind.
[[gnu::noinline]] bool unused_survives() {
  return template_survives<4>();
}
