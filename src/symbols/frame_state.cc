#include "symbols/frame_state.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>

#include <cstdlib>

#include "symbols/dwarf_registers.h"

namespace trapline::symbols {
namespace {

constexpr std::size_t kMaxKnown = 65536;

// Whether the canonical frame address is one word above the stack pointer: the return address lies
// between.
bool is_frameless(Dwarf_CFI* cfi, Dwarf_Addr address) {
  Dwarf_Frame* frame = nullptr;
  if (cfi == nullptr || dwarf_cfi_addrframe(cfi, address, &frame) != 0) return false;
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  const bool known = dwarf_frame_cfa(frame, &operations, &count) == 0 && count == 1;
  const bool frameless = known && operations[0].atom == DW_OP_bregx &&
                         operations[0].number == stack_pointer_number() &&
                         operations[0].number2 == sizeof(std::uint64_t);
  std::free(frame);
  return frameless;
}

}  // namespace

bool FrameState::returns_from_stack_top(RemoteAddress ip) {
  if (const auto known = known_.find(ip.value()); known != known_.end()) return known->second;
  if (known_.size() >= kMaxKnown) known_.clear();
  return known_.emplace(ip.value(), look_up(ip)).first->second;
}

bool FrameState::look_up(RemoteAddress ip) const {
  Dwfl_Module* const module = dwfl_addrmodule(image_.dwfl(), ip.value());
  if (module == nullptr) return false;
  Dwarf_Addr bias = 0;
  Dwarf_CFI* cfi = dwfl_module_eh_cfi(module, &bias);
  if (is_frameless(cfi, ip.value() - bias)) return true;
  cfi = dwfl_module_dwarf_cfi(module, &bias);
  return is_frameless(cfi, ip.value() - bias);
}

}  // namespace trapline::symbols
