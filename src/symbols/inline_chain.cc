#include "symbols/inline_chain.h"

#include <dwarf.h>

namespace trapline::symbols {
namespace {

constexpr int kMaxInlineDepth = 128;

// Extends the chain with what lies below `parent` at `address`; true once the innermost was found.
bool descend(Dwarf_Die& parent, Dwarf_Addr address, std::vector<Dwarf_Die>& chain, int depth) {
  Dwarf_Die child;
  if (depth == 0 || dwarf_child(&parent, &child) != 0) return false;
  do {
    const int tag = dwarf_tag(&child);
    if (tag == DW_TAG_inlined_subroutine && dwarf_haspc(&child, address) == 1) {
      chain.push_back(child);
      descend(child, address, chain, depth - 1);
      return true;
    }
    // A block may be without addresses of its own and still hold inlined code.
    if (tag == DW_TAG_lexical_block && descend(child, address, chain, depth - 1)) return true;
  } while (dwarf_siblingof(&child, &child) == 0);
  return false;
}

}  // namespace

std::vector<Dwarf_Die> inline_chain(const Dwarf_Die& function, Dwarf_Addr address) {
  std::vector<Dwarf_Die> chain{function};
  Dwarf_Die root = function;
  descend(root, address, chain, kMaxInlineDepth);
  return chain;
}

}  // namespace trapline::symbols
