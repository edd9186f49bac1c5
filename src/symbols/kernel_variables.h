// The address and length of a kernel variable, and the entry of a kernel function, by name.
//
// /proc/kallsyms first. Without CONFIG_KALLSYMS_ALL (Debian's kernels for arm64) it has functions
// only: then the System.map of the running kernel, moved by what KASLR moved the kernel. Blocks
// while it reads (10 MB of text, some 50 ms); keeps nothing.
//
// No symbol list tells lengths. A variable whose next symbol follows after 1, 2, 4 or 8 bytes is
// taken to be as long as that; of 4600 such in Debian's 6.1 for amd64, 88% are, and nearly all of
// the rest are shorter, with padding behind. BTF does not help: by default it has per-CPU variables
// only (pahole's global_var is off).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/failure.h"
#include "trapline/base/address.h"
#include "trapline/base/units.h"

namespace trapline::symbols {

// As uname -r prints it.
[[nodiscard]] std::string running_kernel_release();
// Where distributions keep a release's System.map, in the order in which to look: /boot, then where
// Debian's debug package puts it, then beside the modules.
[[nodiscard]] std::vector<std::string> system_map_places(const std::string& release);

// What is read; tests give their own.
struct KernelSymbolFiles {
  std::string kallsyms = "/proc/kallsyms";
  std::string kptr_restrict = "/proc/sys/kernel/kptr_restrict";
  std::string release = running_kernel_release();
  std::vector<std::string> system_maps = system_map_places(release);
};

struct KernelVariable {
  RemoteAddress address;
  ByteCount length;  // 0 if unknown: ask the user for --length
  bool length_known = false;
  std::vector<std::string> notes;  // what address and length rest on
};

struct KernelFunction {
  RemoteAddress entry;
  std::vector<std::string> notes;
};

// Variables of modules are found like the kernel's own, as far as kallsyms has them. Errors, each
// with a complete sentence:
//   permission_denied   the kernel hides its addresses: names the setting in the way
//   unknown_name        names the nearest ones
//   ambiguous_name      several have the name: lists their addresses and modules
//   bad_type            a function; a per-CPU variable, which has no single address
//   not_supported       this kernel has no symbols, or only functions and its System.map is not
//                       here (names the package, if it is known) or is another kernel's
//   os_failure          a file cannot be read
[[nodiscard]] Result<KernelVariable> find_kernel_variable(std::string_view name,
                                                          const KernelSymbolFiles& files = {});

// For -t x. Errors as above; bad_type if the name is a variable.
[[nodiscard]] Result<KernelFunction> find_kernel_function(std::string_view name,
                                                          const KernelSymbolFiles& files = {});

}  // namespace trapline::symbols
