// From an instruction's address to its function, source line and inlined frames, and from any
// address to the variable or function it lies in. Cached; memory is bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "symbols/address_names.h"
#include "symbols/kernel_symbols.h"
#include "symbols/process_image.h"
#include "trapline/base/address.h"

namespace trapline::symbols {

// One frame of a stack. An unknown field is empty (or 0 for line).
struct Frame {
  RemoteAddress ip;          // for a caller: its return address
  std::string symbol;        // demangled, without parameters' default clutter: as c++filt prints it
  std::uint64_t offset = 0;  // of ip in the function; 0 for inlined frames
  std::string file;          // as DWARF has it, made absolute with the compilation directory
  std::uint32_t line = 0;
  std::string module;    // basename
  bool inlined = false;  // this frame was inlined into the next one
};

struct FunctionRange {
  RemoteAddress start;
  RemoteAddress end;
  std::string name;
};

class Symbolizer final : public AddressNames {
 public:
  // Borrows the image, which must outlive it. `cache_limit`: addresses remembered before the cache
  // is emptied.
  explicit Symbolizer(ProcessImage& image, std::size_t cache_limit = 65536);
  ~Symbolizer() override;

  // Frames of the code at `ip`, the innermost inlined one first; at least one (perhaps with only ip
  // set). `ip` is the instruction itself: for a return address pass `is_return_address`, so that
  // the call is looked up. The span stays valid until the next call.
  [[nodiscard]] std::span<const Frame> frames_at(RemoteAddress ip, bool is_return_address);

  // The contiguous code around `ip` that can be decoded from its start: a function, or the piece of
  // one, from ELF symbols, DWARF or call-frame information (then without a name); nullopt if none
  // knows.
  [[nodiscard]] std::optional<FunctionRange> function_at(RemoteAddress ip);

  // By the ELF symbols of the modules: also what has no DWARF. The first address in a module reads
  // its table (0.1 us per symbol), later ones cost 0.2 us.
  [[nodiscard]] std::optional<AddressName> name_at(RemoteAddress address) override;

  // Forget everything (after ProcessImage::refresh).
  void clear();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The same for the kernel's code, which all processes share: from kallsyms, where that may be read.
// That is read at the first question and kept.
class KernelSymbolizer {
 public:
  // Code of modules that were loaded later has no name.
  [[nodiscard]] Frame frame_at(RemoteAddress ip);

 private:
  std::optional<KernelSymbols> symbols_;
};

}  // namespace trapline::symbols
