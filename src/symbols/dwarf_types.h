// Walking DWARF types: members, elements, what a pointer points to. Borrowed DIEs; nothing is
// cached.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "symbols/value_type.h"
#include "trapline/base/units.h"

namespace trapline::symbols {

// Of nested types: DWARF that is deeper is damaged.
inline constexpr int kMaxTypeDepth = 64;

// A type as a place in memory has it. Of an array, `dimensions_used` leading dimensions are already
// indexed away.
struct DwarfType {
  Dwarf_Die die{};
  unsigned dimensions_used = 0;
};

// The type of a variable or member, with typedef, const, volatile and _Atomic kept (they have
// names).
[[nodiscard]] std::optional<DwarfType> type_of(Dwarf_Die& die);
// The same type without typedef, const, volatile, restrict and _Atomic.
[[nodiscard]] DwarfType peel(const DwarfType& type);

[[nodiscard]] std::optional<ByteCount> size_of(const DwarfType& type);
// "struct node *", "int [4]": as C writes it.
[[nodiscard]] std::string name_of(const DwarfType& type);
[[nodiscard]] bool is_pointer(const DwarfType& type);
[[nodiscard]] bool is_reference(const DwarfType& type);
[[nodiscard]] bool is_aggregate(const DwarfType& type);  // struct, class or union
[[nodiscard]] bool is_array(const DwarfType& type);
// Announced without its members: these are told elsewhere, if at all.
[[nodiscard]] bool is_declaration(const DwarfType& type);
// What a pointer or reference points to; nothing for void *.
[[nodiscard]] std::optional<DwarfType> pointee(const DwarfType& pointer);

struct BitField {
  ByteCount bytes;  // how many it lies in
  BitRange bits;    // of these
};
struct Member {
  DwarfType type;
  ByteCount offset;  // of a bit-field: of the first byte it lies in
  std::optional<BitField> bit_field;
  bool is_in_virtual_base = false;  // the offset depends on the object
};
// Calls visit(name, member) for each member and base class that every object has, in the order of
// their declaration; static members are left out. The name of a base class or an anonymous member
// is "". `visit` returns whether to go on.
void for_each_member(const DwarfType& aggregate,
                     const std::function<bool(std::string_view, const Member&)>& visit);
// Looks into anonymous members and base classes too. `names` (may be null) collects the members
// there are.
[[nodiscard]] std::optional<Member> find_member(const DwarfType& aggregate, std::string_view name,
                                                std::vector<std::string>* names);

struct Element {
  DwarfType type;
  ByteCount size;
  std::optional<std::uint64_t> count;  // unknown for a flexible array
};
[[nodiscard]] std::optional<Element> element_of(const DwarfType& array);

}  // namespace trapline::symbols
