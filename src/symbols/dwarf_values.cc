#include "symbols/dwarf_values.h"

#include <dwarf.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/value_bytes.h"
#include "symbols/die_facts.h"

namespace trapline::symbols {
namespace {

constexpr int kMaxParts = 10'000;  // of a whole type: some hundred times what registers can watch

ValueKind kind_of_base(Dwarf_Die& die) {
  switch (unsigned_attribute(die, DW_AT_encoding).value_or(0)) {
    case DW_ATE_boolean:
      return ValueKind::boolean;
    case DW_ATE_signed_char:
    case DW_ATE_unsigned_char:
    case DW_ATE_UTF:
      return ValueKind::character;
    case DW_ATE_float:
      return ValueKind::floating;
    case DW_ATE_signed:
      return ValueKind::signed_integer;
    case DW_ATE_unsigned:
    case DW_ATE_address:
      return ValueKind::unsigned_integer;
    default:
      return ValueKind::bytes;
  }
}

bool is_signed_base(Dwarf_Die& die) {
  const auto encoding = unsigned_attribute(die, DW_AT_encoding).value_or(0);
  return encoding == DW_ATE_signed || encoding == DW_ATE_signed_char;
}

// The type whose arrays are texts; int8_t and uint8_t are "signed char" and "unsigned char".
bool is_char(Dwarf_Die& die) {
  const char* const name = dwarf_diename(&die);
  const std::string_view text = name == nullptr ? "" : name;
  return dwarf_tag(&die) == DW_TAG_base_type && (text == "char" || text == "char8_t");
}

// Cuts them to the type's length and puts them into their order.
void arrange_enumerators(ValueType& type) {
  std::vector<Enumerator> arranged;
  arranged.reserve(type.enumerators.size());
  for (Enumerator& enumerator : type.enumerators) {
    enumerator.bits = low_bytes(enumerator.bits, type.length);
    // Nearly always at the end.
    const auto place = std::ranges::upper_bound(arranged, enumerator.bits, {}, &Enumerator::bits);
    arranged.insert(place, std::move(enumerator));
  }
  type.enumerators = std::move(arranged);
}

bool is_union(const DwarfType& type) {
  DwarfType peeled = peel(type);
  return dwarf_tag(&peeled.die) == DW_TAG_union_type;
}

// Whether objects of a type have any bytes that mean something: those of an empty class do not.
bool has_data(const DwarfType& type, int depth) {
  if (depth == 0 || !is_aggregate(type) || is_declaration(type)) return true;
  bool found = false;
  for_each_member(type, [&](std::string_view, const Member& member) {
    found = has_data(member.type, depth - 1);
    return !found;
  });
  return found;
}

// The scalar that a class is which wraps one, through however many classes; nullptr if it does not.
ValueType* wrapped_scalar(ValueType& value) {
  ValueType* inner = &value;
  while (inner->element_count == 0 && inner->parts.size() == 1) {
    inner = &inner->parts.front().type;
    if (inner->bits || inner->length != value.length) return nullptr;
  }
  return inner->kind == ValueKind::bytes ? nullptr : inner;
}

class TypeReader {
 public:
  [[nodiscard]] ValueType read_object(const DwarfType& type, int depth = kMaxTypeDepth) {
    ValueType value = read(type, depth);
    if (is_union(type)) return value;
    ValueType* const scalar = wrapped_scalar(value);
    return scalar == nullptr || scalar == &value ? value : ValueType(std::move(*scalar));
  }

  [[nodiscard]] ValueType read_object(const DwarfType& type, const BitField& field) {
    ValueType value = read(type, kMaxTypeDepth);
    value.length = field.bytes;
    value.bits = field.bits;
    arrange_enumerators(value);
    return value;
  }

 private:
  // Of a base class or an anonymous member no scalar is made: its members are those of the class
  // around it, and have names there.
  [[nodiscard]] ValueType read(const DwarfType& type, int depth) {
    const DwarfType peeled = peel(type);
    Dwarf_Die die = peeled.die;
    ValueType value;
    value.length = size_of(type).value_or(ByteCount{0});
    switch (dwarf_tag(&die)) {
      case DW_TAG_base_type:
        value.kind = kind_of_base(die);
        value.is_signed = is_signed_base(die);
        break;
      case DW_TAG_enumeration_type:
        read_enumeration(die, value);
        break;
      case DW_TAG_structure_type:
      case DW_TAG_class_type:
      case DW_TAG_union_type:
        read_members(peeled, value, depth);
        break;
      case DW_TAG_array_type:
        read_array(peeled, value, depth);
        break;
      default:
        if (is_pointer(peeled)) value.kind = ValueKind::pointer;
        break;
    }
    return value;
  }

  static void read_enumeration(Dwarf_Die& die, ValueType& value) {
    value.kind = ValueKind::enumeration;
    if (const auto underlying = type_of(die)) {
      DwarfType base = peel(*underlying);
      value.is_signed = is_signed_base(base.die);
    }
    Dwarf_Die child;
    if (dwarf_child(&die, &child) != 0) return;
    do {
      if (dwarf_tag(&child) != DW_TAG_enumerator) continue;
      const char* const name = dwarf_diename(&child);
      const auto number = unsigned_attribute(child, DW_AT_const_value);
      if (name != nullptr && number) value.enumerators.push_back({name, *number});
    } while (dwarf_siblingof(&child, &child) == 0);
    arrange_enumerators(value);
  }

  // All of an aggregate's members or none: half of them would be read as the whole.
  void read_members(const DwarfType& aggregate, ValueType& value, int depth) {
    bool is_complete = depth > 0;
    if (!is_complete) return;
    for_each_member(aggregate, [&](std::string_view name, const Member& member) {
      if (member.is_in_virtual_base || !has_data(member.type, kMaxTypeDepth)) return true;
      is_complete = --parts_left_ >= 0;
      if (!is_complete) return false;
      value.parts.push_back(
          {std::string(name), member.offset, read_member(name, member, depth - 1)});
      return true;
    });
    if (!is_complete) value.parts.clear();
  }

  ValueType read_member(std::string_view name, const Member& member, int depth) {
    if (member.bit_field) return read_object(member.type, *member.bit_field);
    return name.empty() ? read(member.type, depth) : read_object(member.type, depth);
  }

  void read_array(const DwarfType& array, ValueType& value, int depth) {
    const auto element = depth > 0 ? element_of(array) : std::nullopt;
    if (!element || !element->count || *element->count == 0 || element->size.value == 0) return;
    if (--parts_left_ < 0) return;
    value.parts.push_back({{}, {}, read_object(element->type, depth - 1)});
    value.element_count = *element->count;
    DwarfType innermost = peel(element->type);
    value.is_text = is_char(innermost.die);
  }

  int parts_left_ = kMaxParts;
};

}  // namespace

ValueType value_type_of(const DwarfType& type) {
  ValueType value = TypeReader().read_object(type);
  value.name = name_of(type);
  return value;
}

ValueType value_type_of(const DwarfType& type, const BitField& field) {
  ValueType value = TypeReader().read_object(type, field);
  value.name = name_of(type) + " : " + std::to_string(field.bits.count);
  return value;
}

}  // namespace trapline::symbols
