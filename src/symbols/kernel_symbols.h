// The kernel's own symbols, from the text of /proc/kallsyms (kernel/kallsyms.c, s_show()): lines of
//   ffffffff81000000 T _text
//   ffffffffc0401000 t ext4_write  [ext4]
// Without CAP_SYSLOG, or with kernel.kptr_restrict, every address reads as zero: then there are
// none. A plain value once made; about 16 bytes per symbol and the names of functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trapline/base/address.h"

namespace trapline::symbols {

struct KallsymsLine {
  std::uint64_t address = 0;
  char type = '?';          // as nm prints it
  std::string_view name;    // into the line
  std::string_view module;  // with its brackets; "" for the kernel itself
};

// One line without its newline; nullopt if it is not of that form.
[[nodiscard]] std::optional<KallsymsLine> parse_kallsyms_line(std::string_view line);

class KernelSymbols {
 public:
  KernelSymbols() = default;
  // Lines that do not parse are left out.
  explicit KernelSymbols(std::string_view kallsyms);
  // Reads /proc/kallsyms (10 MB of text, some 50 ms). Empty if it may not be read.
  [[nodiscard]] static KernelSymbols load();

  struct Function {
    std::string_view name;
    std::string_view module;  // "[ext4]"; "" for the kernel itself
    std::uint64_t offset = 0;
  };
  // The function that contains `address`: the nearest symbol below it, if that is code and near.
  [[nodiscard]] std::optional<Function> find(RemoteAddress address) const;
  [[nodiscard]] bool empty() const { return symbols_.empty(); }

 private:
  // Data symbols are kept, without their names, as ends of the functions before them.
  struct Symbol {
    std::uint64_t address;
    std::uint32_t name;  // where it starts in names_, or kNotCode
    std::uint32_t module;
  };

  void add(const KallsymsLine& line);
  [[nodiscard]] std::uint32_t module_number(std::string_view module);

  std::vector<Symbol> symbols_;  // by address
  std::string names_;            // each ended by a zero byte
  std::vector<std::string> modules_;
};

}  // namespace trapline::symbols
