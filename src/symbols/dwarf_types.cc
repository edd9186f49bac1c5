#include "symbols/dwarf_types.h"

#include <dwarf.h>

#include "base/value_bytes.h"
#include "symbols/die_facts.h"

namespace trapline::symbols {
namespace {

int tag_of(const DwarfType& type) {
  Dwarf_Die die = type.die;
  return dwarf_tag(&die);
}

// A type in a unit of its own (-fdebug-types-section) is stood for by its signature.
Dwarf_Die behind_signature(Dwarf_Die die) {
  Dwarf_Attribute attribute;
  Dwarf_Die type;
  const bool has_unit = dwarf_attr(&die, DW_AT_signature, &attribute) != nullptr &&
                        dwarf_formref_die(&attribute, &type) != nullptr;
  return has_unit ? type : die;
}

template <typename Visitor>  // bool(Dwarf_Die&): true to go on
void for_each_child(const DwarfType& parent, Visitor visit) {
  Dwarf_Die die = parent.die;
  Dwarf_Die child;
  if (dwarf_child(&die, &child) != 0) return;
  do {
    if (!visit(child)) return;
  } while (dwarf_siblingof(&child, &child) == 0);
}

// The counts of an array's dimensions, outermost first; nullopt for one that is not known.
std::vector<std::optional<std::uint64_t>> dimensions_of(const DwarfType& array) {
  std::vector<std::optional<std::uint64_t>> dimensions;
  for_each_child(array, [&](Dwarf_Die& child) {
    if (dwarf_tag(&child) != DW_TAG_subrange_type) return true;
    auto count = unsigned_attribute(child, DW_AT_count);
    if (!count) {
      const auto upper = unsigned_attribute(child, DW_AT_upper_bound);
      // An upper bound of -1 is how some compilers write a flexible array.
      if (upper && *upper != ~std::uint64_t{0}) count = *upper + 1;
    }
    dimensions.push_back(count);
    return true;
  });
  return dimensions;
}

// nullopt if only the object itself tells (a virtual base class).
std::optional<std::uint64_t> member_offset(Dwarf_Die& member) {
  if (dwarf_hasattr(&member, DW_AT_data_member_location) == 0) return 0;
  if (const auto constant = unsigned_attribute(member, DW_AT_data_member_location)) return constant;
  // DWARF 2 wrote even a constant as an expression.
  Dwarf_Attribute attribute;
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  if (dwarf_attr(&member, DW_AT_data_member_location, &attribute) != nullptr &&
      dwarf_getlocation(&attribute, &operations, &count) == 0 && count == 1 &&
      operations[0].atom == DW_OP_plus_uconst) {
    return operations[0].number;
  }
  return std::nullopt;
}

// From the start of the aggregate.
std::optional<BitRange> bit_field_of(Dwarf_Die& member) {
  const auto size = unsigned_attribute(member, DW_AT_bit_size);
  if (!size) return std::nullopt;
  if (const auto first = unsigned_attribute(member, DW_AT_data_bit_offset))
    return BitRange{*first, *size};
  // Before DWARF 4: counted from the most significant bit of the unit it lies in.
  const std::uint64_t location = member_offset(member).value_or(0) * kBitsPerByte;
  const auto from_top = unsigned_attribute(member, DW_AT_bit_offset);
  const auto type = type_of(member);
  const auto type_size = type ? size_of(*type) : std::nullopt;
  const auto unit =
      unsigned_attribute(member, DW_AT_byte_size).value_or(type_size.value_or(ByteCount{0}).value);
  if (!from_top) return BitRange{location, *size};
  return BitRange{location + unit * kBitsPerByte - *from_top - *size, *size};
}

Member describe_member(Dwarf_Die& die, const DwarfType& type) {
  const auto offset = member_offset(die);
  Member member{type, ByteCount{offset.value_or(0)}, {}, !offset.has_value()};
  if (auto bits = bit_field_of(die); bits && bits->count > 0) {
    member.offset = ByteCount{bits->first / kBitsPerByte};
    bits->first %= kBitsPerByte;
    member.bit_field =
        BitField{ByteCount{(bits->first + bits->count - 1) / kBitsPerByte + 1}, *bits};
  }
  return member;
}

// A part of every object: not a static member, which DWARF 4 writes as a member too.
bool is_part(Dwarf_Die& child) {
  const int tag = dwarf_tag(&child);
  return tag == DW_TAG_inheritance ||
         (tag == DW_TAG_member && dwarf_hasattr(&child, DW_AT_declaration) == 0);
}

std::optional<Member> find_member(const DwarfType& aggregate, std::string_view name,
                                  std::vector<std::string>* names, int depth) {
  std::optional<Member> found;
  if (depth == 0) return found;
  for_each_member(aggregate, [&](std::string_view own, const Member& member) {
    if (own.empty()) {
      // An unnamed struct, or a base class: its members are this one's.
      if (auto inner = find_member(member.type, name, names, depth - 1)) {
        inner->offset.value += member.offset.value;
        inner->is_in_virtual_base = inner->is_in_virtual_base || member.is_in_virtual_base;
        found = inner;
      }
    } else if (own == name) {
      found = member;
    } else if (names != nullptr) {
      names->emplace_back(own);
    }
    return !found.has_value();
  });
  return found;
}

std::string name_of(const DwarfType& type, int depth) {
  if (depth == 0) return "...";
  Dwarf_Die die = type.die;
  const auto inner = [&](const char* if_none) {
    const auto target = type_of(die);
    return target ? name_of(*target, depth - 1) : std::string(if_none);
  };
  const char* const own = dwarf_diename(&die);
  std::string name = own == nullptr ? "{...}" : own;
  switch (dwarf_tag(&die)) {
    case DW_TAG_pointer_type:
      return inner("void") + " *";
    case DW_TAG_reference_type:
      return inner("?") + " &";
    case DW_TAG_rvalue_reference_type:
      return inner("?") + " &&";
    case DW_TAG_const_type:
      return "const " + inner("void");
    case DW_TAG_volatile_type:
      return "volatile " + inner("void");
    case DW_TAG_atomic_type:
      return "_Atomic " + inner("void");
    case DW_TAG_restrict_type:
      return inner("void");
    case DW_TAG_structure_type:
      return "struct " + name;
    case DW_TAG_union_type:
      return "union " + name;
    case DW_TAG_enumeration_type:
      return "enum " + name;
    case DW_TAG_subroutine_type:
      return "function";
    case DW_TAG_array_type: {
      std::string text = inner("?") + " ";
      const auto dimensions = dimensions_of(type);
      for (std::size_t index = type.dimensions_used; index < dimensions.size(); ++index) {
        text +=
            "[" + (dimensions[index] ? std::to_string(*dimensions[index]) : std::string()) + "]";
      }
      return text;
    }
    default:
      return name;
  }
}

}  // namespace

std::optional<DwarfType> type_of(Dwarf_Die& die) {
  Dwarf_Attribute attribute;
  DwarfType type;
  if (dwarf_attr_integrate(&die, DW_AT_type, &attribute) == nullptr ||
      dwarf_formref_die(&attribute, &type.die) == nullptr) {
    return std::nullopt;
  }
  type.die = behind_signature(type.die);
  return type;
}

DwarfType peel(const DwarfType& type) {
  DwarfType peeled = type;
  Dwarf_Die die = type.die;
  if (dwarf_peel_type(&die, &peeled.die) != 0) peeled.die = type.die;
  peeled.die = behind_signature(peeled.die);
  return peeled;
}

std::optional<ByteCount> size_of(const DwarfType& type) {
  const DwarfType peeled = peel(type);
  if (is_array(peeled)) {
    const auto element = element_of(peeled);
    if (!element || !element->count) return std::nullopt;
    return ByteCount{element->size.value * *element->count};
  }
  Dwarf_Die die = peeled.die;
  Dwarf_Word size = 0;
  if (dwarf_aggregate_size(&die, &size) != 0) return std::nullopt;
  return ByteCount{size};
}

std::string name_of(const DwarfType& type) {
  return name_of(type, kMaxTypeDepth);
}

bool is_pointer(const DwarfType& type) {
  const int tag = tag_of(peel(type));
  return tag == DW_TAG_pointer_type || tag == DW_TAG_reference_type ||
         tag == DW_TAG_rvalue_reference_type;
}

bool is_reference(const DwarfType& type) {
  return is_pointer(type) && tag_of(peel(type)) != DW_TAG_pointer_type;
}

bool is_declaration(const DwarfType& type) {
  DwarfType peeled = peel(type);
  return dwarf_hasattr(&peeled.die, DW_AT_declaration) != 0;
}

bool is_aggregate(const DwarfType& type) {
  const int tag = tag_of(peel(type));
  return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

bool is_array(const DwarfType& type) {
  return tag_of(peel(type)) == DW_TAG_array_type;
}

std::optional<DwarfType> pointee(const DwarfType& pointer) {
  DwarfType peeled = peel(pointer);
  return type_of(peeled.die);
}

void for_each_member(const DwarfType& aggregate,
                     const std::function<bool(std::string_view, const Member&)>& visit) {
  for_each_child(peel(aggregate), [&](Dwarf_Die& child) {
    const auto type = is_part(child) ? type_of(child) : std::nullopt;
    if (!type) return true;
    const char* const name =
        dwarf_tag(&child) == DW_TAG_inheritance ? nullptr : dwarf_diename(&child);
    return visit(name == nullptr ? "" : name, describe_member(child, *type));
  });
}

std::optional<Member> find_member(const DwarfType& aggregate, std::string_view name,
                                  std::vector<std::string>* names) {
  return find_member(aggregate, name, names, kMaxTypeDepth);
}

std::optional<Element> element_of(const DwarfType& array) {
  DwarfType peeled = peel(array);
  const auto dimensions = dimensions_of(peeled);
  const auto innermost = type_of(peeled.die);
  if (!innermost || peeled.dimensions_used >= dimensions.size()) return std::nullopt;
  const auto innermost_size = size_of(*innermost);
  if (!innermost_size) return std::nullopt;
  Element element{*innermost, *innermost_size, dimensions[peeled.dimensions_used]};
  for (std::size_t index = peeled.dimensions_used + 1; index < dimensions.size(); ++index) {
    if (!dimensions[index]) return std::nullopt;
    element.size.value *= *dimensions[index];
  }
  if (peeled.dimensions_used + 1 < dimensions.size()) {
    element.type = peeled;
    ++element.type.dimensions_used;
  }
  return element;
}

}  // namespace trapline::symbols
