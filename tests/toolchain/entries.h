// Functions with exactly one entry each; a template's is in every file that uses it, and in the
// program once.
#pragma once

#include "trapline/linux/guarded_access.h"

template <int kWhich>
[[gnu::noinline]] bool template_survives() {
  // Different instructions, so that no linker folds them.
  const auto loaded =
      trapline::fault::try_load(reinterpret_cast<int*>(std::uintptr_t{16 * kWhich}));
  return !loaded && loaded.error().address == std::uintptr_t{16 * kWhich};
}

bool first_file_survives();
bool second_file_survives();
