#include "symbols/frame_state.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>

#include <cstdlib>

#include "symbols/dwarf_registers.h"

namespace trapline::symbols {
namespace {

constexpr std::size_t kMaxKnown = 65536;

// Whether the register that calls leave the return address in still has it (dwarf_frame_register
// gives no operations for a register that keeps its value).
bool keeps_link(Dwarf_Frame* frame, int link) {
  Dwarf_Op memory[3];
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  return dwarf_frame_register(frame, link, memory, &operations, &count) == 0 && count == 0 &&
         operations == nullptr;
}

// Whether the canonical frame address is one word above the stack pointer: the return address lies
// between.
bool has_only_return_address(Dwarf_Frame* frame) {
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  const bool known = dwarf_frame_cfa(frame, &operations, &count) == 0 && count == 1;
  return known && operations[0].atom == DW_OP_bregx &&
         operations[0].number == dwarf_numbering().stack_pointer &&
         operations[0].number2 == sizeof(std::uint64_t);
}

bool is_frameless(Dwarf_CFI* cfi, Dwarf_Addr address) {
  Dwarf_Frame* frame = nullptr;
  if (cfi == nullptr || dwarf_cfi_addrframe(cfi, address, &frame) != 0) return false;
  const auto link = dwarf_numbering().link_register;
  const bool frameless = link ? keeps_link(frame, *link) : has_only_return_address(frame);
  std::free(frame);
  return frameless;
}

}  // namespace

bool FrameState::returns_as_called(RemoteAddress ip) {
  if (const auto known = known_.find(ip.value()); known != known_.end()) return known->second;
  if (known_.size() >= kMaxKnown) known_.clear();
  return known_.emplace(ip.value(), look_up(ip)).first->second;
}

bool FrameState::look_up(RemoteAddress ip) const {
  Dwfl_Module* const module = image_.dwfl_module_at(ip);
  if (module == nullptr) return false;
  Dwarf_Addr bias = 0;
  Dwarf_CFI* cfi = dwfl_module_eh_cfi(module, &bias);
  if (is_frameless(cfi, ip.value() - bias)) return true;
  cfi = dwfl_module_dwarf_cfi(module, &bias);
  return is_frameless(cfi, ip.value() - bias);
}

}  // namespace trapline::symbols
