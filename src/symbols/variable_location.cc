#include "symbols/variable_location.h"

#include <dwarf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <span>

namespace trapline::symbols {
namespace {

bool is_thread_local(const Dwarf_Op& operation) {
  return operation.atom == DW_OP_GNU_push_tls_address || operation.atom == DW_OP_form_tls_address;
}

// What the first operation pushes, if that is an address.
std::optional<std::uint64_t> pushed_address(Dwarf_Attribute& location, const Dwarf_Op& operation) {
  if (operation.atom == DW_OP_addr) return operation.number;
  if (operation.atom != DW_OP_addrx && operation.atom != DW_OP_GNU_addr_index) return std::nullopt;
  Dwarf_Attribute indexed;
  Dwarf_Addr address = 0;
  if (dwarf_getlocation_attr(&location, &operation, &indexed) != 0 ||
      dwarf_formaddr(&indexed, &address) != 0) {
    return std::nullopt;
  }
  return address;
}

}  // namespace

VariableLocation location_of(Dwarf_Die die) {
  Dwarf_Attribute attribute;
  if (dwarf_attr_integrate(&die, DW_AT_location, &attribute) == nullptr) {
    const bool has_value = dwarf_hasattr_integrate(&die, DW_AT_const_value) != 0;
    return {{}, has_value ? NoAddress::constant : NoAddress::no_location};
  }
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  // A list of places by code address is no expression.
  if (dwarf_getlocation(&attribute, &operations, &count) != 0) return {{}, NoAddress::moving};
  if (count == 0) return {{}, NoAddress::no_location};
  const std::span expression(operations, count);
  if (std::ranges::any_of(expression, is_thread_local))
    return {{}, NoAddress::thread_local_storage};
  auto address = pushed_address(attribute, operations[0]);
  if (count == 2 && address && operations[1].atom == DW_OP_plus_uconst) {
    // Variables that a compiler merged into one block.
    *address += operations[1].number;
  } else if (count != 1) {
    address.reset();
  }
  if (!address) return {{}, NoAddress::moving};
  return {address, NoAddress::none};
}

std::string explain(NoAddress reason, const std::string& name, std::int32_t pid) {
  switch (reason) {
    case NoAddress::thread_local_storage:
      return fmt::format(
          "is thread-local: each thread has its own. Ask for its address in the thread you mean, "
          "gdb -p TID -batch -ex 'print &{}' (the threads are in /proc/{}/task), and watch "
          "*ADDRESS:LENGTH with -p TID",
          name, pid);
    case NoAddress::constant:
      return "is a constant without memory: the compiler put its value into the code";
    case NoAddress::moving:
      return "has no fixed address: it lives in registers or on a stack. Print its address in gdb "
             "while its function runs, and watch *ADDRESS:LENGTH";
    case NoAddress::none:
    case NoAddress::no_location:
      break;
  }
  return "is declared here, but was optimised away or is defined in a file that is not loaded: it "
         "has no memory";
}

}  // namespace trapline::symbols
