// A process's modules in the order in which the dynamic linker looks names up.
#pragma once

#include <elfutils/libdwfl.h>

#include <string>
#include <vector>

#include "symbols/process_image.h"
#include "trapline/base/address.h"

namespace trapline::symbols {

struct ModuleView {
  Dwfl_Module* module = nullptr;
  std::string path;  // without the kernel's " (deleted)"
  RemoteAddress start;
};

// The program first, then the libraries as the dynamic linker's own list has them (ld.so's
// r_debug, see link.h), so preloaded ones before those the program asks for. Modules that are not
// in the list, as in a program that has not run yet, come last, as they lie in memory.
[[nodiscard]] std::vector<ModuleView> modules_in_lookup_order(const ProcessImage& image);

}  // namespace trapline::symbols
